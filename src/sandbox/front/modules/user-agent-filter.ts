import { edgeAnswer } from '../answer.ts';
import { headerValue } from '../header-list.ts';
import type { RequestStage } from '../stages.ts';
import { compilePattern } from './pattern.ts';

const REFUSED = edgeAnswer(403, 'ERR_NGROK_3211', 'This user agent may not use the endpoint.');

/** An allow match admits; else a deny match refuses, and so does an allow list that nothing matched. */
export const userAgentFilter = (allow: readonly string[], deny: readonly string[]): RequestStage => {
  const allowed = allow.map(compilePattern);
  const denied = deny.map(compilePattern);
  return (request) => {
    const agent = headerValue(request.headers, 'user-agent') ?? '';
    if (allowed.some((pattern) => pattern.test(agent))) return null;
    return allowed.length > 0 || denied.some((pattern) => pattern.test(agent)) ? REFUSED : null;
  };
};
