import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../core/clock.ts';
import type { EdgeEndpoint, EdgeState } from '../contract.ts';
import type { Http2Agents } from './agent-http2.ts';
import type { AgentPools } from './agent-pools.ts';
import { type EdgeAnswer, edgeAnswer, offline, sendAnswer } from './answer.ts';
import type { EndpointRules } from './endpoint-rules.ts';
import { forwardedRequest } from './forwarded.ts';
import { headerValue } from './header-list.ts';
import { BREAKER_OPEN } from './modules/circuit-breaker.ts';
import { hostName, httpMembers, pick } from './route.ts';
import type { RequestHead, ResponseHead, Visit } from './stages.ts';
import type { StreamOpener } from './stream-opener.ts';

/** What the HTTP front ends share. */
export interface FrontContext {
  readonly edge: () => EdgeState;
  readonly rulesOf: (endpoint: EdgeEndpoint) => EndpointRules;
  readonly opener: StreamOpener;
  readonly pools: AgentPools;
  readonly http2: Http2Agents;
  readonly random: () => number;
  readonly clock: Clock;
}

/** One request of a visitor on its way to one endpoint. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly endpoint: EdgeEndpoint;
  readonly rules: EndpointRules;
  readonly visit: Visit;
  readonly head: RequestHead;
}

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

/** Lets the response stages look at the agent's answer; the edge's own answer when one of them gave one. */
export const judgeResponse = (exchange: Exchange, response: ResponseHead): EdgeAnswer | null => {
  exchange.rules.breaker?.saw(response.status);
  for (const stage of exchange.rules.onResponse) {
    const answer = stage(response, exchange.head, exchange.visit);
    if (answer !== null) return answer;
  }
  return null;
};
