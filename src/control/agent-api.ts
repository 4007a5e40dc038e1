/**
 * What ngrok's own agent answers on its local API for `status` and `endpoints`, so that tools made for it can read this
 * daemon too: its paths and field names, and some of ours beside them. No token and no policy is in any answer.
 */
import type { EndpointInStatus, StatusDocument } from '../daemon/status.ts';

type Json = Readonly<Record<string, unknown>>;

/** The agent's words for a session. */
const AGENT_STATUS: Readonly<Record<StatusDocument['session']['state'], string>> = {
  connected: 'online',
  connecting: 'connecting',
  down: 'reconnecting',
  'auth-failed': 'closed',
  stopped: 'closed',
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
  last_error:
    status.session.lastError === null
      ? null
      : { code: status.session.lastError.ngrokCode ?? status.session.lastError.code },
});

const endpointHead = (e: EndpointInStatus): Json => ({
  name: e.name,
  uri: `/api/endpoints/${encodeURIComponent(e.name)}`,
  url: e.url,
  upstream: { url: e.upstream, protocol: e.proto === 'http' ? 'http1' : '' },
  inspect: false,
  traffic_policy: '',
  pooling_enabled: true,
  state: e.state,
  last_error: e.lastError === null ? null : { code: e.lastError.ngrokCode ?? e.lastError.code },
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
export const agentEndpoints = (status: StatusDocument): Json => ({
  endpoints: running(status).map(endpointHead),
  uri: '/api/endpoints',
});

/** `GET /api/endpoints/:name`; null when no such endpoint is up. */
export const agentEndpoint = (status: StatusDocument, name: string): Json | null => {
  const e = running(status).find((endpoint) => endpoint.name === name);
  if (e === undefined) return null;
  return {
    ...endpointHead(e),
    metrics: {
      conns: { count: e.connections, gauge: e.open, ...NO_QUANTILES },
      http: { count: e.requests, ...quantiles(e) },
    },
  };
};
