/** One consistent picture of the device, from which `status`, `reported`, `health` and events are all made. */
import type { Condition, ConditionNow } from '../core/condition.ts';
import type { EndpointCounters } from '../core/endpoint.ts';
import type { Fault } from '../core/errors.ts';
import type { Observed } from '../core/observed.ts';
import {
  addCounters,
  type EndpointStatus,
  endpointStatuses,
  noCounters,
  type SessionStatus,
  sessionStatus,
} from '../core/view.ts';
import type { DownCause } from '../protocol/event-schema.ts';
import type { Reading } from './intent.ts';
import type { LinkStatus, VaultState } from './ports.ts';

export type CredState = 'ok' | 'refused' | 'missing' | 'revoked';

export interface EndpointSnapshot extends EndpointStatus {
  readonly upstream: string;
  readonly proto: string;
  readonly counters: EndpointCounters;
  /** Why it is down, where it is. */
  readonly downCause: DownCause;
}

export const isOpen = (e: EndpointSnapshot): boolean => e.state === 'up';
export const isClosed = (e: EndpointSnapshot): boolean => e.state === 'down' || e.state === 'denied';

export interface Snapshot {
  readonly session: SessionStatus;
  readonly endpoints: readonly EndpointSnapshot[];
  readonly locked: boolean;
  readonly cred: {
    readonly gen: number;
    readonly want: number | null;
    readonly fingerprint: string;
    readonly state: CredState;
  };
  readonly conditions: readonly ConditionNow[];
}

export interface SnapshotInputs {
  readonly reading: Reading;
  readonly observed: Observed;
  readonly counters: ReadonlyMap<string, Readonly<Record<string, EndpointCounters>>>;
  /** Totals of tunnels that ended, by endpoint. */
  readonly past: ReadonlyMap<string, EndpointCounters>;
  readonly vault: VaultState;
  readonly wantGeneration: number | null;
  readonly isRevoked: boolean;
  readonly locked: boolean;
  readonly parked: boolean;
  readonly link: LinkStatus | null;
  readonly trustMode: 'signed' | 'broker';
  /** Conditions that others keep: store, clock, upstream checks, files. */
  readonly extra: readonly ConditionNow[];
  readonly now: number;
}

/** A session may be away for so long before that is a condition. */
const SESSION_GRACE_MS = 10_000;

const countersOf = (inputs: SnapshotInputs, name: string): EndpointCounters => {
  let sum = inputs.past.get(name) ?? noCounters();
  for (const perEndpoint of inputs.counters.values()) {
    const own = perEndpoint[name];
    if (own !== undefined) sum = addCounters(sum, own);
  }
  return sum;
};

const faultCondition = (f: Fault, endpoint?: string): ConditionNow => ({
  code: f.code,
  severity: f.retryable ? 'warning' : 'error',
  message: f.message,
  ...(endpoint === undefined ? {} : { endpoint }),
});

const sessionConditions = (session: SessionStatus, inputs: SnapshotInputs): readonly ConditionNow[] => {
  if (session.state === 'auth-failed')
    return session.lastError === null
      ? [
          {
            code: 'TOKEN_MISSING',
            severity: 'error',
            message: 'No authtoken on this device: send a rekey, or set ngrok.authtokenFile.',
          },
        ]
      : [faultCondition(session.lastError)];
  const awayMs = inputs.observed.downSince === null ? 0 : inputs.now - inputs.observed.downSince;
  if ((session.state !== 'connecting' && session.state !== 'down') || awayMs < SESSION_GRACE_MS) return [];
  return [
    {
      code: 'EDGE_UNREACHABLE',
      severity: 'error',
      message: session.lastError?.message ?? 'No session to the ngrok edge; trying again.',
    },
  ];
};

const conditionsOf = (
  session: SessionStatus,
  endpoints: readonly EndpointSnapshot[],
  inputs: SnapshotInputs,
): readonly ConditionNow[] => {
  const { parked, locked, observed, link, reading } = inputs;
  const all: ConditionNow[] = [...inputs.extra];
  if (locked)
    all.push({
      code: 'LOCKED',
      severity: 'warning',
      message: 'Locked on the device: every endpoint is closed until `lockkeeper unlock`.',
    });
  if (parked && !locked)
    all.push({
      code: 'PARKED',
      severity: 'warning',
      message: 'Stopped from the ngrok side: a start, restart or rekey command opens it again.',
    });
  if (!locked && !parked) all.push(...sessionConditions(session, inputs));
  if (inputs.vault.swap !== null)
    all.push({
      code: 'SWAP_IN_PROGRESS',
      severity: 'info',
      message: 'A new authtoken is to take the place of the one in use.',
    });
  for (const e of endpoints) {
    if ((e.state === 'failed' || e.state === 'denied') && e.lastError !== null)
      all.push(faultCondition(e.lastError, e.name));
  }
  for (const [name, f] of Object.entries(observed.upstreamFaults))
    if (reading.wanted.has(name))
      all.push({ code: 'UPSTREAM_DOWN', severity: 'warning', message: f.message, endpoint: name });
  if (observed.saturated)
    all.push({
      code: 'SATURATED',
      severity: 'warning',
      message: 'Too many connections at once: new ones are refused until load falls.',
    });
  for (const problem of link?.problems ?? []) all.push(faultCondition(problem));
  if (inputs.trustMode === 'broker')
    all.push({
      code: 'BROKER_MODE',
      severity: 'info',
      message: 'Commands are not signed (trust.mode is broker): for the bench only.',
    });
  const seen = new Set<string>();
  return all.filter((c) => {
    const key = `${c.code} ${c.endpoint ?? ''}`;
    return !seen.has(key) && seen.add(key);
  });
};

export const takeSnapshot = (inputs: SnapshotInputs): Snapshot => {
  const { reading, observed, vault } = inputs;
  const session = sessionStatus(reading.inputs, observed);
  const endpoints = endpointStatuses(reading.inputs, observed).map((status): EndpointSnapshot => {
    const wanted = reading.wanted.get(status.name);
    const cause: DownCause = inputs.locked
      ? 'lock'
      : wanted?.up === true
        ? 'session'
        : (wanted?.downCause ?? 'desired');
    return {
      ...status,
      upstream: wanted?.spec.upstream ?? '',
      proto: wanted?.spec.proto ?? '',
      counters: countersOf(inputs, status.name),
      downCause: cause,
    };
  });
  const slot = vault[vault.current];
  const isRefused = observed.dial.refused[vault.current] !== undefined;
  return {
    session,
    endpoints,
    locked: inputs.locked,
    cred: {
      gen: slot?.generation ?? 0,
      want: inputs.wantGeneration,
      fingerprint: slot?.fingerprint ?? '',
      state: inputs.isRevoked ? 'revoked' : slot === null ? 'missing' : isRefused ? 'refused' : 'ok',
    },
    conditions: conditionsOf(session, endpoints, inputs),
  };
};

/** All of a snapshot that a reader of `reported` would want to know at once; counters and latency change too often. */
export const reportKey = (s: Snapshot, conditions: readonly Condition[]): string =>
  JSON.stringify([
    s.session.state,
    s.session.lastError?.code,
    // While it is up an endpoint's error is its upstream's, which comes and goes; the condition tells of it.
    s.endpoints.map((e) => [
      e.name,
      e.state,
      e.url,
      e.by,
      e.leaseEndsAt,
      e.state !== 'up' && e.lastError?.code,
    ]),
    s.locked,
    s.cred,
    // A missing link can be reported only when it is back, and then all is reported anyway.
    conditions.filter((c) => c.code !== 'BROKER_NET').map((c) => [c.code, c.endpoint, c.message]),
  ]);
