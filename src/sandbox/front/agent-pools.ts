import type { Clock } from '../../core/clock.ts';
import type { EdgeEndpoint } from '../contract.ts';
import { AgentPool } from './agent-pool.ts';
import type { StreamOpener } from './stream-opener.ts';

/** The two ways to an endpoint's agent over HTTP/1.1. */
interface Ways {
  /** Reuses idle streams. */
  readonly kept: AgentPool;
  /** A stream of its own for one request. */
  readonly fresh: AgentPool;
}

/** The streams towards all endpoints. */
export interface AgentPools {
  /** A pool that may give an idle stream; only for requests that can be sent a second time. */
  kept(endpoint: EdgeEndpoint): AgentPool;
  /** A pool that opens a stream for each request. */
  fresh(endpoint: EdgeEndpoint): AgentPool;
  /** Ends what is idle; requests under way go on. */
  retire(endpoint: EdgeEndpoint): void;
  /** Retires all. */
  retireAll(): void;
}

/** With a PROXY header a stream belongs to one visitor, so it is never kept for another. */
export const createAgentPools = (
  clock: Clock,
  opener: StreamOpener,
  proxyProtoOf: (endpoint: EdgeEndpoint) => 0 | 1 | 2,
): AgentPools => {
  const pools = new Map<EdgeEndpoint, Ways>();
  const waysOf = (endpoint: EdgeEndpoint): Ways => {
    const known = pools.get(endpoint);
    if (known !== undefined) return known;
    const proxyProto = proxyProtoOf(endpoint);
    const fresh = new AgentPool(endpoint, proxyProto, opener, clock, { keepAlive: false });
    const kept =
      proxyProto === 0 ? new AgentPool(endpoint, proxyProto, opener, clock, { keepAlive: true }) : fresh;
    const ways = { kept, fresh };
    pools.set(endpoint, ways);
    return ways;
  };
  opener.onShort((sessionId) => {
    for (const [endpoint, ways] of pools) {
      if (endpoint.sessionId === sessionId) ways.kept.endIdle();
    }
  });
  const retire = (endpoint: EdgeEndpoint): void => {
    pools.get(endpoint)?.kept.retire();
    pools.delete(endpoint);
  };
  return {
    kept: (endpoint) => waysOf(endpoint).kept,
    fresh: (endpoint) => waysOf(endpoint).fresh,
    retire,
    retireAll: () => {
      for (const endpoint of [...pools.keys()]) retire(endpoint);
    },
  };
};
