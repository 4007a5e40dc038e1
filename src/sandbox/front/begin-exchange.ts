import type { IncomingMessage, ServerResponse } from 'node:http';
import { type EdgeAnswer, edgeAnswer, offline, sendAnswer } from './answer.ts';
import type { EndpointRules } from './endpoint-rules.ts';
import type { Exchange } from './exchange.ts';
import { forwardedRequest } from './forwarded.ts';
import type { FrontContext } from './front-context.ts';
import { headerValue } from './header-list.ts';
import { BREAKER_OPEN } from './modules/circuit-breaker.ts';
import { hostName, httpMembers, pick } from './route.ts';
import type { RequestHead, Visit } from './stages.ts';

/**
 * Finds the endpoint for a request and lets the request stages look at it. Null when the edge answered by itself, or
 * closed the connection as the endpoint's policy asks.
 */
export const beginExchange = (
  context: FrontContext,
  visit: Visit,
  req: IncomingMessage,
  res: ServerResponse,
): Exchange | null => {
  const hostHeader = headerValue(req.rawHeaders, 'host') ?? '';
  const host = hostName(hostHeader);
  const endpoint = pick(httpMembers(context.edge(), visit.scheme, host), context.random);
  if (endpoint === undefined) {
    sendAnswer(res, offline(host));
    return null;
  }
  endpoint.requests += 1;
  const rules = context.rulesOf(endpoint);
  if (!rules.admits(visit)) {
    req.socket.destroy();
    return null;
  }
  const head: RequestHead = {
    method: req.method ?? 'GET',
    target: req.url ?? '/',
    host,
    headers: forwardedRequest(req.rawHeaders, {
      ip: visit.clientIp,
      scheme: visit.scheme,
      host: hostHeader,
    }),
  };
  const answer = judge(rules, head, visit);
  if (answer !== null) {
    sendAnswer(res, answer);
    return null;
  }
  return { req, res, endpoint, rules, visit, head };
};

const CERTIFICATE_WANTED = edgeAnswer(403, null, 'This endpoint asks for a client certificate.');

const judge = (rules: EndpointRules, head: RequestHead, visit: Visit): EdgeAnswer | null => {
  // Neither the plain port nor another server name is a way around the certificate.
  if (rules.clientCa !== null && rules.clientCa !== visit.verifiedBy) return CERTIFICATE_WANTED;
  for (const stage of rules.onRequest) {
    const answer = stage(head, visit);
    if (answer !== null) return answer;
  }
  return rules.breaker === null || rules.breaker.admits() ? null : BREAKER_OPEN;
};
