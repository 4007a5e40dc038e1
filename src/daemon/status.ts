/** `lockkeeper status --json`: a snapshot in the outside face's words. Shape fixed; fields are only ever added. */
import type { Clock } from '../core/clock.ts';
import type { Condition } from '../core/condition.ts';
import type { LinkStatus } from './ports.ts';
import type { Snapshot } from './snapshot.ts';

export interface StatusInputs {
  readonly clock: Clock;
  readonly device: string;
  readonly version: string;
  readonly startedAt: number;
  readonly link: LinkStatus | null;
  readonly snapshot: Snapshot;
  readonly conditions: readonly Condition[];
  readonly fingerprint: string;
  readonly revisions: { readonly rev: number; readonly applied: number };
  readonly tunnels: readonly { readonly tunnel: string; readonly pid: number }[];
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** Plain data, ready for JSON. */
export const statusDocument = (inputs: StatusInputs): Readonly<Record<string, unknown>> => {
  const { clock, link, snapshot } = inputs;
  const at = (monotonic: number | null): string | null =>
    monotonic === null ? null : iso(clock.wall() - (clock.now() - monotonic));
  const { session } = snapshot;
  return {
    v: 1,
    device: inputs.device,
    version: inputs.version,
    uptimeS: Math.round((clock.now() - inputs.startedAt) / 1000),
    pid: process.pid,
    link: {
      state: link?.state ?? 'offline',
      broker: link?.broker ?? '',
      protocol: link?.protocol ?? null,
      since: link === null ? null : iso(link.sinceMs),
      lastError: link?.lastError ?? null,
    },
    session: {
      state: session.state,
      since: at(session.since),
      generation: session.generation,
      latencyMs: session.latencyMs,
      reconnects: session.reconnects,
      lastError: session.lastError,
    },
    endpoints: snapshot.endpoints.map((e) => ({
      name: e.name,
      state: e.state,
      url: e.url,
      upstream: e.upstream,
      proto: e.proto,
      by: e.by,
      since: at(e.since),
      leaseEndsAt: at(e.leaseEndsAt),
      requests: e.counters.requests,
      connections: e.counters.connections,
      open: e.counters.open,
      inFlight: e.counters.inFlight,
      bytesIn: e.counters.bytesIn,
      bytesOut: e.counters.bytesOut,
      responses: e.counters.responses,
      refused: e.counters.refused,
      lastActiveAt: e.counters.lastActiveMs === null ? null : iso(e.counters.lastActiveMs),
      lastError: e.lastError,
    })),
    conditions: inputs.conditions.map((c) => ({
      code: c.code,
      severity: c.severity,
      since: iso(c.sinceMs),
      message: c.message,
      ...(c.endpoint === undefined ? {} : { endpoint: c.endpoint }),
    })),
    locked: snapshot.locked,
    desired: inputs.revisions,
    credential: {
      generation: snapshot.cred.gen,
      fingerprint: snapshot.cred.fingerprint,
      state: snapshot.cred.state,
    },
    key: { fingerprint: inputs.fingerprint },
    tunnels: inputs.tunnels,
  };
};
