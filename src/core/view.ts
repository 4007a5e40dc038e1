/** What the device says of itself, derived from desired and observed state in one place: status, reports and conditions. */
import type { EndpointCounters } from './endpoint.ts';
import type { Fault } from './errors.ts';
import type { BindRefusal, EndpointView, Observed, TunnelView } from './observed.ts';
import type { Slot } from './tunnel-event.ts';
import type { Wanted, WantedBy } from './wanted.ts';

export type EndpointState = 'up' | 'opening' | 'down' | 'failed' | 'denied';
export type SessionPhase = 'connected' | 'connecting' | 'down' | 'auth-failed' | 'stopped';

export interface EndpointStatus {
  readonly name: string;
  readonly state: EndpointState;
  readonly url: string;
  /** Monotonic milliseconds since when the state is what it is; null when not known. */
  readonly since: number | null;
  readonly by: WantedBy;
  /** Monotonic milliseconds; null without lease. */
  readonly leaseEndsAt: number | null;
  readonly lastError: Fault | null;
}

export interface SessionStatus {
  readonly state: SessionPhase;
  readonly since: number | null;
  readonly generation: number;
  readonly latencyMs: number | null;
  readonly reconnects: number;
  readonly lastError: Fault | null;
}

export interface ViewInputs {
  readonly wanted: ReadonlyMap<string, Wanted>;
  /** Endpoints that never open: upstream not allowed, policy unknown. */
  readonly denied: ReadonlyMap<string, Fault>;
  /** Keys of the wanted endpoints as they would be bound now. */
  readonly keys: ReadonlyMap<string, string>;
  /** False while locked, parked or stopping. */
  readonly sessionWanted: boolean;
  readonly current: Slot;
  readonly currentGeneration: number;
  readonly hasToken: boolean;
}

interface Copy {
  readonly tunnel: TunnelView;
  readonly view: EndpointView;
}

/** A session that is lost for good carries nothing, whatever its endpoints said last. */
const copiesOf = (o: Observed, name: string): readonly Copy[] =>
  o.tunnels.flatMap((tunnel) => {
    const view = tunnel.endpoints[name];
    const isUp = tunnel.phase === 'connected' || tunnel.phase === 'draining';
    return view === undefined || !isUp ? [] : [{ tunnel, view }];
  });

const refusalOf = (o: Observed, slot: Slot, name: string, key: string | undefined): BindRefusal | undefined =>
  o.bindRefusals.find((r) => r.slot === slot && r.endpoint === name && r.key === key);

/** A refusal that is told as one: a moment's matter, such as a URL that its last holder has not let go, is not yet. */
export const isStanding = ({ cls, attempt }: BindRefusal): boolean => cls !== 'R' || attempt >= 5;

const endpointStatus = (name: string, wanted: Wanted, inputs: ViewInputs, o: Observed): EndpointStatus => {
  const base = {
    name,
    by: wanted.by,
    leaseEndsAt: wanted.up && wanted.by === 'lease' ? wanted.until : null,
  };
  const denied = inputs.denied.get(name);
  if (denied !== undefined)
    return { ...base, state: 'denied', url: wanted.spec.url, since: null, lastError: denied };
  const upstreamFault = o.upstreamFaults[name] ?? null;
  const copies = copiesOf(o, name);
  const open = copies.findLast((c) => c.view.phase === 'bound' || c.view.phase === 'serving');
  if (wanted.up && inputs.sessionWanted) {
    if (open !== undefined) {
      const { url, since } = open.view;
      return { ...base, state: 'up', url, since, lastError: upstreamFault };
    }
    const refusal = refusalOf(o, inputs.current, name, inputs.keys.get(name));
    if (refusal !== undefined) {
      const state = isStanding(refusal) ? 'failed' : 'opening';
      return { ...base, state, url: wanted.spec.url, since: refusal.at, lastError: refusal.fault };
    }
    return { ...base, state: 'opening', url: wanted.spec.url, since: null, lastError: o.dial.lastFault };
  }
  // Not wanted any more: it is down for new visitors once its listener is closed, and only then.
  const closing = copies.findLast((c) => c.view.phase !== 'opening');
  return {
    ...base,
    state: closing === undefined ? 'down' : 'up',
    url: closing?.view.url || wanted.spec.url,
    since: closing?.view.since ?? null,
    lastError: null,
  };
};

export const endpointStatuses = (inputs: ViewInputs, o: Observed): readonly EndpointStatus[] =>
  [...inputs.wanted].map(([name, wanted]) => endpointStatus(name, wanted, inputs, o));

export const sessionStatus = (inputs: ViewInputs, o: Observed): SessionStatus => {
  const up =
    o.tunnels.findLast((t) => t.phase === 'connected') ?? o.tunnels.findLast((t) => t.phase === 'draining');
  const refused = o.dial.refused[inputs.current];
  const base = {
    generation: up?.generation ?? inputs.currentGeneration,
    latencyMs: up?.latencyMs ?? null,
    reconnects: o.reconnects,
    lastError: refused?.fault ?? o.dial.lastFault,
  };
  if (!inputs.sessionWanted && up === undefined) return { ...base, state: 'stopped', since: null };
  if (up !== undefined) return { ...base, state: 'connected', since: o.upSince, lastError: null };
  if (refused !== undefined || !inputs.hasToken)
    return { ...base, state: 'auth-failed', since: refused?.at ?? null };
  const isPortClosed = o.dial.edge === 'silent' && o.dial.portOpen === false;
  return { ...base, state: isPortClosed ? 'down' : 'connecting', since: o.downSince };
};

const ZERO: EndpointCounters = {
  requests: 0,
  connections: 0,
  open: 0,
  inFlight: 0,
  bytesIn: 0,
  bytesOut: 0,
  responses: [0, 0, 0, 0, 0],
  refused: 0,
  upstreamFailures: 0,
  lastActiveMs: null,
};

const addLatency = (
  a: readonly number[] | undefined,
  b: readonly number[] | undefined,
): readonly number[] | undefined => {
  if (a === undefined || b === undefined) return a ?? b;
  return a.map((n, i) => n + (b[i] ?? 0));
};

/** Sums the counters of several copies of one endpoint. */
export const addCounters = (a: EndpointCounters, b: EndpointCounters): EndpointCounters => {
  const [a1, a2, a3, a4, a5] = a.responses;
  const [b1, b2, b3, b4, b5] = b.responses;
  const latency = addLatency(a.latency, b.latency);
  const latencySumMs = (a.latencySumMs ?? 0) + (b.latencySumMs ?? 0);
  return {
    requests: a.requests + b.requests,
    connections: a.connections + b.connections,
    open: a.open + b.open,
    inFlight: a.inFlight + b.inFlight,
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
    responses: [a1 + b1, a2 + b2, a3 + b3, a4 + b4, a5 + b5],
    refused: a.refused + b.refused,
    upstreamFailures: a.upstreamFailures + b.upstreamFailures,
    lastActiveMs:
      a.lastActiveMs === null || b.lastActiveMs === null
        ? (a.lastActiveMs ?? b.lastActiveMs)
        : Math.max(a.lastActiveMs, b.lastActiveMs),
    ...(latency === undefined ? {} : { latency, latencySumMs }),
  };
};

/** What a tunnel that ended leaves behind: its totals without its gauges. */
export const retired = (c: EndpointCounters): EndpointCounters => ({ ...c, open: 0, inFlight: 0 });

export const noCounters = (): EndpointCounters => ZERO;
