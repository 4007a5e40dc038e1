/** What a resource tells the server about itself. */
import type { Body, FieldTable } from './fields.ts';
import type { Problem } from './problems.ts';

/** Who asks. */
export interface Caller {
  readonly account: string;
  readonly ownerId: string;
  readonly role: 'admin' | 'developer';
}

export interface ApiRequest {
  readonly caller: Caller;
  /** Values of the `:name` segments of the route's path. */
  readonly params: Readonly<Record<string, string>>;
  readonly body: Body;
  readonly query: URLSearchParams;
}

/** An object as the API shows it. */
export type Shown = Readonly<Record<string, unknown>>;

export interface Answer {
  readonly status: 200 | 201 | 204;
  readonly body: Shown | null;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** `credentials/:id`. */
  readonly path: string;
  /** Null when a body is refused (211). */
  readonly body: { readonly fields: FieldTable; readonly at: 'create' | 'update' } | null;
  readonly query: readonly string[];
  /** Prefix that the value of `:id` must have (227). */
  readonly idPrefix?: string;
  run(request: ApiRequest): Answer | Problem | Promise<Answer | Problem>;
}

export const created = (body: Shown): Answer => ({ status: 201, body });
export const okay = (body: Shown): Answer => ({ status: 200, body });
export const done: Answer = { status: 204, body: null };
