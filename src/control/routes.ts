/** What may be read of the daemon over HTTP, the same on the control socket and on the loopback port. */
import type { StatusDocument } from '../daemon/status.ts';
import { agentEndpoint, agentEndpoints, agentStatus, type EndpointFacts } from './agent-api.ts';
import { EXPOSITION_TYPE } from './exposition.ts';
import { type MachineMetrics, metricsText } from './metrics.ts';
import { readiness } from './readiness.ts';

export interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: string;
}

/** Where the answers come from. */
export interface Observed extends EndpointFacts {
  /** The status with the health report in it. */
  status(): StatusDocument & Readonly<Record<string, unknown>>;
  machine(): Promise<MachineMetrics>;
  /** What no longer moves although it should; null while all does. */
  stalled(): string | null;
}

export const json = (code: number, value: unknown): Answer => ({
  code,
  type: 'application/json',
  body: `${JSON.stringify(value)}\n`,
});

export const plain = (code: number, text: string): Answer => ({
  code,
  type: 'text/plain; charset=utf-8',
  body: `${text}\n`,
});

/** `/livez` and `/readyz`; null for another path. */
export const probe = (path: string, observed: Observed): Answer | null => {
  if (path === '/livez') {
    const stalled = observed.stalled();
    return stalled === null ? plain(200, 'ok') : plain(503, stalled);
  }
  if (path !== '/readyz') return null;
  const missing = readiness(observed.status());
  return missing === null ? plain(200, 'ok') : plain(503, missing);
};

/** Metrics in Prometheus' text form. */
export const metrics = async (observed: Observed): Promise<Answer> => ({
  code: 200,
  type: EXPOSITION_TYPE,
  body: await metricsText(observed.status(), await observed.machine()),
});

/** The status, and the paths of ngrok's agent; null for another path. */
export const readings = (path: string, observed: Observed): Answer | null => {
  if (path === '/v1/status') return json(200, observed.status());
  if (path === '/api/status') return json(200, agentStatus(observed.status()));
  if (path === '/api/endpoints') return json(200, agentEndpoints(observed.status(), observed));
  const [, name] = /^\/api\/endpoints\/([a-z0-9-]{1,64})$/.exec(path) ?? [];
  if (name === undefined) return null;
  const found = agentEndpoint(observed.status(), name, observed);
  return found === null
    ? json(404, { status_code: 404, msg: 'No endpoint of that name is up.' })
    : json(200, found);
};
