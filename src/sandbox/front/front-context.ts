import type { Clock } from '../../core/clock.ts';
import type { EdgeEndpoint, EdgeState } from '../contract.ts';
import type { Http2Agents } from './agent-http2.ts';
import type { AgentPools } from './agent-pools.ts';
import type { EndpointRules } from './endpoint-rules.ts';
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
