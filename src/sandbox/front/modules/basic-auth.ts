import { createHash, timingSafeEqual } from 'node:crypto';
import { type EdgeAnswer, edgeAnswer } from '../answer.ts';
import { headerValue } from '../header-list.ts';
import { refuse } from '../refused-bind.ts';
import type { RequestStage } from '../stages.ts';

/** Stands in for a secret so that comparing takes the same time for every guess. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Asks for one of the `user:password` pairs. */
export const basicAuth = (pairs: readonly string[], realm: string): RequestStage => {
  if (pairs.length === 0) refuse('Basic auth needs at least one credential.');
  if (/["\\\r\n]/.test(realm)) refuse('The realm of basic auth must not hold quotes or line ends.');
  const known = pairs.map(digest);
  const unauthorized: EdgeAnswer = edgeAnswer(
    401,
    'ERR_NGROK_3202',
    'This endpoint asks for a user name and a password.',
    ['WWW-Authenticate', `Basic realm="${realm}"`],
  );
  return (request) => {
    const sent = /^basic +(\S+)$/i.exec(headerValue(request.headers, 'authorization') ?? '')?.[1];
    if (sent === undefined) return unauthorized;
    const given = digest(Buffer.from(sent, 'base64').toString('utf8'));
    return known.filter((pair) => timingSafeEqual(pair, given)).length > 0 ? null : unauthorized;
  };
};
