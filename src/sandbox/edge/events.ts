import { EventEmitter } from 'node:events';
import type { EdgeEndpoint, EdgeSession } from '../contract.ts';

/** A Bind that was refused. Agents do not say why a rebind failed, so this is where to look. */
export interface RefusedBind {
  readonly sessionId: string;
  /** The endpoint's id at a rebind, else empty. */
  readonly endpointId: string;
  /** What was asked for, as far as it could be read. */
  readonly address: string;
  readonly code: string;
  readonly message: string;
  readonly atMs: number;
}

/** What happens at the edge. A `resumed` session continues an earlier one; a `superseded` one was continued by another. */
export interface EdgeEventMap {
  'session-opened': [session: EdgeSession, how: { readonly resumed: boolean }];
  'session-closed': [session: EdgeSession, how: { readonly superseded: boolean; readonly reason: string }];
  'auth-refused': [refusal: { readonly code: string; readonly remoteAddr: string }];
  'endpoint-bound': [endpoint: EdgeEndpoint, how: { readonly rebound: boolean }];
  'endpoint-closed': [endpoint: EdgeEndpoint, reason: EndpointEnd];
  'bind-refused': [refusal: RefusedBind];
  heartbeat: [session: EdgeSession];
  /** An exception in the edge itself: a bug to be shown. */
  bug: [error: unknown];
}

/** Why an endpoint ended: by its agent, by the edge, or with its session. */
export type EndpointEnd = 'unbind' | 'stopped' | 'session-lost';

/** Listeners must not throw; they run in the middle of the edge's work. */
export type EdgeEvents = EventEmitter<EdgeEventMap>;

export const createEdgeEvents = (): EdgeEvents => new EventEmitter<EdgeEventMap>();
