/** `lockkeeper status --json`: a snapshot in the outside face's words. Shape fixed; fields are only ever added. */
import type { Clock } from '../core/clock.ts';
import type { Condition, Severity } from '../core/condition.ts';
import type { Fault } from '../core/errors.ts';
import { quantileMs } from '../core/latency.ts';
import type { EndpointState, SessionPhase } from '../core/view.ts';
import type { ActiveHours } from './active-hours.ts';
import type { LinkState, LinkStatus } from './ports.ts';
import type { EndpointSnapshot, Snapshot } from './snapshot.ts';
import type { WallTime } from './wall-time.ts';

/** One endpoint in the status. Counters are totals since this supervisor began. Times are ISO 8601. */
export interface EndpointInStatus {
  readonly name: string;
  readonly state: EndpointState;
  readonly url: string;
  readonly upstream: string;
  readonly proto: string;
  readonly by: string;
  readonly since: string | null;
  readonly leaseEndsAt: string | null;
  readonly requests: number;
  readonly connections: number;
  readonly open: number;
  readonly inFlight: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Responses by class, `1xx` to `5xx`. */
  readonly responses: readonly number[];
  readonly refused: number;
  readonly upstreamFailures: number;
  /** Null where nothing is metered or nothing was asked. `counts` by bucket, not cumulative; milliseconds. */
  readonly latency: {
    readonly counts: readonly number[];
    readonly sumMs: number;
    readonly p50Ms: number | null;
    readonly p90Ms: number | null;
    readonly p95Ms: number | null;
    readonly p99Ms: number | null;
  } | null;
  readonly lastActiveAt: string | null;
  /** Clock hours with traffic, in this calendar month (UTC) and ever: ngrok bills by them. An estimate. */
  readonly activeHours: { readonly month: number; readonly total: number };
  readonly lastError: Fault | null;
}

export interface StatusDocument {
  readonly v: 1;
  readonly device: string;
  readonly version: string;
  readonly uptimeS: number;
  readonly pid: number;
  readonly link: {
    readonly state: LinkState;
    readonly broker: string;
    readonly protocol: 4 | 5 | null;
    readonly since: string | null;
    readonly lastError: Fault | null;
  };
  readonly session: {
    readonly state: SessionPhase;
    readonly since: string | null;
    readonly generation: number;
    readonly latencyMs: number | null;
    readonly reconnects: number;
    readonly lastError: Fault | null;
  };
  readonly endpoints: readonly EndpointInStatus[];
  readonly conditions: readonly {
    readonly code: string;
    readonly severity: Severity;
    readonly since: string;
    readonly message: string;
    readonly endpoint?: string;
  }[];
  readonly locked: boolean;
  readonly desired: { readonly rev: number; readonly applied: number };
  readonly credential: { readonly generation: number; readonly fingerprint: string; readonly state: string };
  readonly key: { readonly fingerprint: string };
  readonly tunnels: readonly { readonly tunnel: string; readonly pid: number }[];
  /** Messages that wait for the broker, and those given up since the start. */
  readonly outbox: { readonly waiting: number; readonly dropped: number };
  /** What intake threw away since the start, by reason. */
  readonly intake: Readonly<Record<string, number>>;
}

/** Something that happened, as it is kept for those who look at the device itself. */
export interface RecentEvent {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly type: string;
  readonly ep?: string;
  readonly code?: string;
  readonly cause?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface StatusInputs {
  readonly clock: Clock;
  readonly wall: WallTime;
  readonly device: string;
  readonly version: string;
  readonly startedAt: number;
  readonly link: LinkStatus | null;
  readonly snapshot: Snapshot;
  readonly conditions: readonly Condition[];
  readonly fingerprint: string;
  readonly revisions: { readonly rev: number; readonly applied: number };
  readonly tunnels: readonly { readonly tunnel: string; readonly pid: number }[];
  readonly activeHours: Readonly<Record<string, ActiveHours>>;
  readonly outbox: { readonly waiting: number; readonly dropped: number };
  readonly intake: Readonly<Record<string, number>>;
}

const iso = (ms: number): string => new Date(ms).toISOString();

const latencyOf = ({
  latency,
  latencySumMs = 0,
}: EndpointSnapshot['counters']): EndpointInStatus['latency'] =>
  latency === undefined
    ? null
    : {
        counts: latency,
        sumMs: Math.round(latencySumMs),
        p50Ms: quantileMs(latency, 0.5),
        p90Ms: quantileMs(latency, 0.9),
        p95Ms: quantileMs(latency, 0.95),
        p99Ms: quantileMs(latency, 0.99),
      };

/** Plain data, ready for JSON. */
export const statusDocument = (inputs: StatusInputs): StatusDocument => {
  const { clock, wall, link, snapshot } = inputs;
  const at = (monotonic: number | null): string | null =>
    monotonic === null ? null : iso(wall.ms(monotonic));
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
      upstreamFailures: e.counters.upstreamFailures,
      latency: latencyOf(e.counters),
      lastActiveAt: e.counters.lastActiveMs === null ? null : iso(e.counters.lastActiveMs),
      activeHours: {
        month: inputs.activeHours[e.name]?.month ?? 0,
        total: inputs.activeHours[e.name]?.total ?? 0,
      },
      lastError: e.lastError,
    })),
    conditions: inputs.conditions.map((c) => ({
      code: c.code,
      severity: c.severity,
      since: iso(wall.ms(c.since)),
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
    outbox: inputs.outbox,
    intake: inputs.intake,
  };
};
