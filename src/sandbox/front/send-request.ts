import { type ClientRequest, request } from 'node:http';
import type { AgentPool, AgentRequest } from './agent-pool.ts';
import type { Exchange } from './exchange.ts';
import { type HeaderList, headerTokens, headerValue } from './header-list.ts';

/** The largest header of an answer that is taken, bytes. */
const MOST_HEADER_BYTES = 64 * 1024;

/** Methods that a server may see twice without harm. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
/** Methods for which Node adds no chunked framing by itself. */
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'DELETE', 'CONNECT']);

/** How the body of a request is framed. */
export type Framing = 'none' | 'length' | 'chunked' | 'unknown';

/** Reads the framing off the visitor's header fields; `unknown` is a transfer coding the edge does not know. */
export const framingOf = (fields: readonly string[]): Framing => {
  const codings = headerTokens(fields, 'transfer-encoding');
  if (codings.length > 0) return codings.length === 1 && codings[0] === 'chunked' ? 'chunked' : 'unknown';
  const length = headerValue(fields, 'content-length');
  return length === null || Number(length) === 0 ? 'none' : 'length';
};

/** True when the request can be sent a second time after a stream proved dead: it is idempotent and has no body. */
export const isReplayable = (method: string, framing: Framing): boolean =>
  framing === 'none' && IDEMPOTENT.has(method);

/** Begins an HTTP/1.1 request towards the agent; its body is the caller's to write. May throw on odd header fields. */
export const sendRequest = (exchange: Exchange, pool: AgentPool, more: HeaderList): ClientRequest => {
  const { head, visit } = exchange;
  const options: AgentRequest = {
    agent: pool,
    method: head.method,
    path: head.target,
    headers: [...head.headers, ...more],
    maxHeaderSize: MOST_HEADER_BYTES,
    ends: visit,
  };
  return request(options);
};

/** The fields that frame a request's body towards the agent, beyond those that pass anyway. */
export const framingFields = (exchange: Exchange, framing: Framing): HeaderList => {
  if (framing === 'chunked') return ['Transfer-Encoding', 'chunked'];
  // Without either field Node would frame an absent body as an empty chunked one.
  const isBare = framing === 'none' && !BODILESS.has(exchange.head.method);
  return isBare && headerValue(exchange.head.headers, 'content-length') === null
    ? ['Content-Length', '0']
    : [];
};
