import type { IncomingMessage, ServerResponse } from 'node:http';
import type { EdgeEndpoint } from '../contract.ts';
import type { EdgeAnswer } from './answer.ts';
import type { EndpointRules } from './endpoint-rules.ts';
import type { RequestHead, ResponseHead, Visit } from './stages.ts';

/** One request of a visitor on its way to one endpoint. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly endpoint: EdgeEndpoint;
  readonly rules: EndpointRules;
  readonly visit: Visit;
  readonly head: RequestHead;
}

/** Lets the response stages look at the agent's answer; the edge's own answer when one of them gave one. */
export const judgeResponse = (exchange: Exchange, response: ResponseHead): EdgeAnswer | null => {
  exchange.rules.breaker?.saw(response.status);
  for (const stage of exchange.rules.onResponse) {
    const answer = stage(response, exchange.head, exchange.visit);
    if (answer !== null) return answer;
  }
  return null;
};
