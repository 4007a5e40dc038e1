/**
 * What ngrok's own agent answers on its local API for `status` and `endpoints`, so that tools made for it can read this
 * daemon too: its paths and field names, and some of ours beside them. No token and no policy is in any answer.
 */
import type { Fault } from '../core/errors.ts';
import { classifyNgrok } from '../core/ngrok-codes.ts';
import type { EndpointInStatus, StatusDocument } from '../daemon/status.ts';

type Json = Readonly<Record<string, unknown>>;

/** What the configuration knows of endpoints and the status does not say. */
export interface EndpointFacts {
  /** The address that an upstream's name stands for. */
  upstreamUrl(upstream: string): string;
  isPooled(endpoint: string): boolean;
}

/** The agent's words for a session. */
const AGENT_STATUS: Readonly<Record<StatusDocument['session']['state'], string>> = {
  connected: 'online',
  connecting: 'connecting',
  down: 'reconnecting',
  'auth-failed': 'closed',
  stopped: 'closed',
};

/** `since`: when the state began that the error explains. */
const lastError = (fault: Fault | null, since: string | null): Json | null =>
  fault === null
    ? null
    : {
        code: fault.ngrokCode ?? fault.code,
        class: fault.ngrokCode === undefined ? null : classifyNgrok(fault.ngrokCode).class,
        at: since,
      };

/** `GET /api/status`. */
export const agentStatus = (status: StatusDocument): Json => ({
  status: AGENT_STATUS[status.session.state],
  agent_version: status.version,
  session: {
    legs: status.session.state === 'connected' ? [{ region: '', latency: status.session.latencyMs }] : [],
  },
  uri: '/api/status',
  state: status.session.state,
  last_error: lastError(status.session.lastError, status.session.since),
  rotation: {
    generation: status.credential.generation,
    in_progress: status.conditions.some(({ code }) => code === 'SWAP_IN_PROGRESS'),
  },
});

const endpointHead = (e: EndpointInStatus, facts: EndpointFacts): Json => ({
  name: e.name,
  uri: `/api/endpoints/${encodeURIComponent(e.name)}`,
  url: e.url,
  upstream: { url: facts.upstreamUrl(e.upstream), protocol: e.proto === 'http' ? 'http1' : '' },
  inspect: false,
  traffic_policy: '',
  pooling_enabled: facts.isPooled(e.name),
  state: e.state,
  last_error: lastError(e.lastError, e.since),
  lease: e.leaseEndsAt === null ? null : { ends_at: e.leaseEndsAt },
  bytes_in: e.bytesIn,
  bytes_out: e.bytesOut,
});

/** Rates are not kept here; the agent's fields for them are 0. Milliseconds become nanoseconds, as there. */
const quantiles = (e: EndpointInStatus): Json => {
  const ns = (ms: number | null | undefined): number => (ms ?? 0) * 1e6;
  return {
    rate1: 0,
    rate5: 0,
    rate15: 0,
    p50: ns(e.latency?.p50Ms),
    p90: ns(e.latency?.p90Ms),
    p95: ns(e.latency?.p95Ms),
    p99: ns(e.latency?.p99Ms),
  };
};

const NO_QUANTILES = { rate1: 0, rate5: 0, rate15: 0, p50: 0, p90: 0, p95: 0, p99: 0 };

/** The endpoints that are up, as the agent lists only those that run. */
const running = (status: StatusDocument): readonly EndpointInStatus[] =>
  status.endpoints.filter(({ state }) => state === 'up');

/** `GET /api/endpoints`. */
export const agentEndpoints = (status: StatusDocument, facts: EndpointFacts): Json => ({
  endpoints: running(status).map((e) => endpointHead(e, facts)),
  uri: '/api/endpoints',
});

/** `GET /api/endpoints/:name`; null when no such endpoint is up. */
export const agentEndpoint = (status: StatusDocument, name: string, facts: EndpointFacts): Json | null => {
  const e = running(status).find((endpoint) => endpoint.name === name);
  if (e === undefined) return null;
  return {
    ...endpointHead(e, facts),
    metrics: {
      conns: { count: e.connections, gauge: e.open, ...NO_QUANTILES },
      http: { count: e.requests, ...quantiles(e) },
    },
  };
};
