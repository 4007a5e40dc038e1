import type { Ends } from './address.ts';
import type { EdgeAnswer } from './answer.ts';
import type { HeaderList } from './header-list.ts';

/** Who asks, and by which of the two ports. */
export interface Visit extends Ends {
  readonly scheme: 'http' | 'https';
  /** PEM of the authority that the visitor's certificate was checked against; null when none was asked for. */
  readonly verifiedBy: string | null;
}

/** A request on its way to the agent. Stages replace `headers`; the rest stays as the visitor sent it. */
export interface RequestHead {
  readonly method: string;
  /** Path and query as they stood in the request line. */
  readonly target: string;
  /** Name from the Host header, lower case, without port. */
  readonly host: string;
  headers: HeaderList;
}

/** Content codings the edge can apply. */
export const CODINGS = ['gzip', 'br', 'deflate'] as const;
export type Coding = (typeof CODINGS)[number];

/** An answer on its way to the visitor. */
export interface ResponseHead {
  readonly status: number;
  readonly statusText: string;
  headers: HeaderList;
  /** Codings that may be applied when the visitor takes them, the preferred one first. */
  codings: readonly Coding[];
}

/** Looks at a request; an answer ends it at the edge. */
export type RequestStage = (request: RequestHead, visit: Visit) => EdgeAnswer | null;

/** Looks at the agent's answer; an answer of its own takes its place. */
export type ResponseStage = (response: ResponseHead, request: RequestHead, visit: Visit) => EdgeAnswer | null;
