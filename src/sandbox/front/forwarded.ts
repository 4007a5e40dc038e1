import { type HeaderList, headerTokens, withoutHeaders } from './header-list.ts';

/** Fields that speak of one connection only and never pass the edge. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** What only the edge may say about a visitor; a visitor's own are forged. */
const SET_BY_EDGE: ReadonlySet<string> = new Set([
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
]);

/** Fields that `Connection` cannot name away: without them the message would change its meaning. */
const NEVER_NAMED_AWAY: ReadonlySet<string> = new Set(['host', 'content-length', 'trailer']);

const dropped = (fields: readonly string[], more: ReadonlySet<string>): ReadonlySet<string> => {
  const names = new Set([...HOP_BY_HOP, ...more]);
  for (const token of headerTokens(fields, 'connection')) {
    if (!NEVER_NAMED_AWAY.has(token)) names.add(token);
  }
  return names;
};

const NONE: ReadonlySet<string> = new Set();

/** The fields of an answer that pass from the agent to the visitor. */
export const endToEnd = (fields: readonly string[]): HeaderList =>
  withoutHeaders(fields, dropped(fields, NONE));

/**
 * The fields of a request as the agent gets them: end-to-end ones as they came, then the edge's own three. The body's
 * framing (`transfer-encoding`, `upgrade`) is the caller's to add again.
 */
export const forwardedRequest = (
  fields: readonly string[],
  visitor: { readonly ip: string; readonly scheme: 'http' | 'https'; readonly host: string },
): HeaderList => {
  const kept = withoutHeaders(fields, dropped(fields, SET_BY_EDGE));
  kept.push(
    'X-Forwarded-For',
    visitor.ip,
    'X-Forwarded-Host',
    visitor.host,
    'X-Forwarded-Proto',
    visitor.scheme,
  );
  return kept;
};
