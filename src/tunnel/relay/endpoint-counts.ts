import { type EndpointCounters, LATENCY_BUCKETS_MS } from '../../core/endpoint.ts';
import type { HttpSink } from './http-tracker.ts';

/** The mutable side of `EndpointCounters`, without its gauges. */
export interface EndpointCounts extends HttpSink {
  connection(): void;
  bytesIn(bytes: number): void;
  bytesOut(bytes: number): void;
  refused(): void;
  upstreamFailure(): void;
  snapshot(gauges: Pick<EndpointCounters, 'open' | 'inFlight'>): EndpointCounters;
}

/** Makes the counts of one endpoint, all zero. `wall` is the wall clock. */
export const createEndpointCounts = (wall: () => number): EndpointCounts => {
  const responses: [number, number, number, number, number] = [0, 0, 0, 0, 0];
  const latency = new Array<number>(LATENCY_BUCKETS_MS.length + 1).fill(0);
  let latencySumMs = 0;
  let requests = 0;
  let connections = 0;
  let bytesIn = 0;
  let bytesOut = 0;
  let refused = 0;
  let upstreamFailures = 0;
  let lastActiveMs: number | null = null;

  return {
    request() {
      requests += 1;
    },
    response(status, tookMs) {
      const index = Math.floor(status / 100) - 1;
      if (index === 0 || index === 1 || index === 2 || index === 3 || index === 4) responses[index] += 1;
      if (tookMs === null) return;
      const found = LATENCY_BUCKETS_MS.findIndex((bound) => tookMs <= bound);
      const bucket = found === -1 ? LATENCY_BUCKETS_MS.length : found;
      latency[bucket] = (latency[bucket] ?? 0) + 1;
      latencySumMs += tookMs;
    },
    connection() {
      connections += 1;
    },
    bytesIn(bytes) {
      bytesIn += bytes;
      lastActiveMs = wall();
    },
    bytesOut(bytes) {
      bytesOut += bytes;
      lastActiveMs = wall();
    },
    refused() {
      refused += 1;
    },
    upstreamFailure() {
      upstreamFailures += 1;
    },
    snapshot: ({ open, inFlight }) => ({
      requests,
      connections,
      open,
      inFlight,
      bytesIn,
      bytesOut,
      responses: [...responses],
      refused,
      upstreamFailures,
      lastActiveMs,
      latency: [...latency],
      latencySumMs,
    }),
  };
};
