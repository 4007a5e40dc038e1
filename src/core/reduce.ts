/** Folds events and issued actions into observed state. The only place where an `Observed` is made. */
import type { Action } from './action.ts';
import {
  bindRetryMs,
  LADDER_RESET_AFTER_MS,
  probeDelayMs,
  restartDelayMs,
  SLOW,
  slowDelayMs,
} from './backoff.ts';
import type { Fault } from './errors.ts';
import { classifyNgrok, type NgrokClass } from './ngrok-codes.ts';
import type { Dial, EndpointView, Observed, TunnelView } from './observed.ts';
import type { Slot, TunnelEvent, TunnelId } from './tunnel-event.ts';

/** Time and chance at the moment of the event. */
export interface Moment {
  readonly now: number;
  readonly random01: number;
}

/** A long connect attempt is suspect once it has lasted longer than the short deadline. */
export const SHORT_CONNECT_MS = 5000;

const classOf = (f: Fault): NgrokClass =>
  f.ngrokCode === undefined ? 'R' : classifyNgrok(f.ngrokCode).class;

const editTunnel = (o: Observed, id: TunnelId, edit: (t: TunnelView) => TunnelView): Observed => ({
  ...o,
  tunnels: o.tunnels.map((t) => (t.id === id ? edit(t) : t)),
});

const editEndpoint = (
  o: Observed,
  id: TunnelId,
  name: string,
  edit: (e: EndpointView) => EndpointView | null,
): Observed =>
  editTunnel(o, id, (t) => {
    const found = t.endpoints[name];
    if (found === undefined) return t;
    const { [name]: _, ...rest } = t.endpoints;
    const edited = edit(found);
    return { ...t, endpoints: edited === null ? rest : { ...rest, [name]: edited } };
  });

/** Failures in a row as they count after a tunnel ended: a session that stayed up wipes the slate. */
const failuresAfter = (dial: Dial, t: TunnelView, now: number): number =>
  (t.connectedAt !== null && now - t.connectedAt >= LADDER_RESET_AFTER_MS ? 0 : dial.failures) + 1;

const dialAfterConnectFailure = (o: Observed, t: TunnelView, f: Fault, m: Moment): Dial => {
  const cls = classOf(f);
  const failures = o.dial.failures + 1;
  if (cls === 'F-cred') {
    const attempt = (o.dial.refused[t.slot]?.attempt ?? 0) + 1;
    // Three tries soon after each other, since an edge may be behind its own database; then hours.
    const waitMs = attempt < 3 ? 5000 * attempt : slowDelayMs(SLOW['F-cred'], attempt - 2, m.random01);
    const refusal = { fault: f, attempt, at: m.now, notBefore: m.now + waitMs };
    return {
      ...o.dial,
      failures,
      edge: 'unknown',
      lastFault: f,
      refused: { ...o.dial.refused, [t.slot]: refusal },
    };
  }
  if (cls !== 'R') {
    const notBefore = m.now + slowDelayMs(SLOW[cls], failures, m.random01);
    return { ...o.dial, failures, edge: 'unknown', lastFault: f, notBefore };
  }
  if (f.ngrokCode !== undefined)
    return {
      ...o.dial,
      failures,
      edge: 'unknown',
      lastFault: f,
      notBefore: m.now + restartDelayMs(failures),
    };
  return { ...o.dial, failures, edge: 'silent', lastFault: f, nextProbeAt: m.now + probeDelayMs(m.random01) };
};

const withDownSince = (o: Observed, now: number): Observed => {
  const isUp = o.tunnels.some((t) => t.phase === 'connected' || t.phase === 'draining');
  if (isUp) return o.downSince === null ? o : { ...o, downSince: null, upSince: o.upSince ?? now };
  return o.downSince !== null ? o : { ...o, downSince: now, upSince: null };
};

const connected = (o: Observed, id: TunnelId, sessionId: string, now: number): Observed => {
  const t = o.tunnels.find((x) => x.id === id);
  if (t === undefined) return o;
  const { [t.slot]: _, ...refused } = o.dial.refused;
  const cameBack = o.downSince !== null && o.tunnels.some((x) => x.id !== id && x.connectedAt !== null);
  return {
    ...editTunnel(o, id, (x) => ({
      ...x,
      phase: 'connected',
      connectedAt: now,
      sessionId,
      lostReason: null,
    })),
    dial: { ...o.dial, edge: 'unknown', portOpen: null, lastFault: null, refused },
    reconnects: o.reconnects + (cameBack ? 1 : 0),
  };
};

const exited = (o: Observed, id: TunnelId, m: Moment): Observed => {
  const t = o.tunnels.find((x) => x.id === id);
  if (t === undefined) return o;
  const rest = { ...o, tunnels: o.tunnels.filter((x) => x.id !== id) };
  if (t.phase === 'draining' || t.phase === 'dying' || t.fault !== null) return rest;
  const failures = failuresAfter(o.dial, t, m.now);
  return { ...rest, dial: { ...o.dial, failures, notBefore: m.now + restartDelayMs(failures) } };
};

const lost = (
  o: Observed,
  id: TunnelId,
  reason: 'clock' | 'heartbeat' | 'unresponsive',
  m: Moment,
): Observed => {
  const t = o.tunnels.find((x) => x.id === id);
  if (t === undefined || t.phase === 'dying' || t.phase === 'draining') return o;
  const failures = failuresAfter(o.dial, t, m.now);
  return {
    ...editTunnel(o, id, (x) => ({ ...x, phase: 'lost', lostReason: reason })),
    dial: { ...o.dial, failures, notBefore: m.now + restartDelayMs(failures) },
  };
};

const bindFailed = (o: Observed, id: TunnelId, name: string, f: Fault, m: Moment): Observed => {
  const t = o.tunnels.find((x) => x.id === id);
  const view = t?.endpoints[name];
  if (t === undefined || view === undefined) return o;
  const same = o.bindRefusals.find((r) => r.endpoint === name && r.slot === t.slot && r.key === view.key);
  const attempt = (same?.attempt ?? 0) + 1;
  const cls = classOf(f);
  const refusal = {
    endpoint: name,
    key: view.key,
    slot: t.slot,
    fault: f,
    cls,
    attempt,
    at: m.now,
    retryAt: m.now + bindRetryMs(cls, attempt, m.random01),
  };
  const others = o.bindRefusals.filter((r) => r.endpoint !== name || r.slot !== t.slot);
  return { ...editEndpoint(o, id, name, () => null), bindRefusals: [...others, refusal] };
};

const bound = (o: Observed, e: Extract<TunnelEvent, { type: 'bound' }>, now: number): Observed => {
  const slot = o.tunnels.find((t) => t.id === e.tunnel)?.slot;
  return {
    ...editEndpoint(o, e.tunnel, e.endpoint, (v) => ({
      ...v,
      phase: v.phase === 'closing' ? 'closing' : 'bound',
      url: e.url,
      endpointId: e.endpointId,
      since: now,
    })),
    bindRefusals: o.bindRefusals.filter((r) => r.endpoint !== e.endpoint || r.slot !== slot),
  };
};

const upstream = (o: Observed, name: string, f: Fault | null): Observed => {
  const { [name]: _, ...rest } = o.upstreamFaults;
  return { ...o, upstreamFaults: f === null ? rest : { ...rest, [name]: f } };
};

/** A stopped endpoint is bound again, but not at once: whoever stopped it gets a moment. */
const endpointStopped = (o: Observed, id: TunnelId, name: string, f: Fault, m: Moment): Observed =>
  bindFailed(o, id, name, f, m);

const fold = (o: Observed, e: TunnelEvent, m: Moment): Observed => {
  switch (e.type) {
    case 'started':
      return editTunnel(o, e.tunnel, (t) => ({ ...t, pid: e.pid }));
    case 'connected':
      return connected(o, e.tunnel, e.sessionId, m.now);
    case 'connect-failed': {
      const t = o.tunnels.find((x) => x.id === e.tunnel);
      if (t === undefined || t.fault !== null) return o;
      const dial = t.phase === 'starting' ? dialAfterConnectFailure(o, t, e.fault, m) : o.dial;
      return { ...editTunnel(o, e.tunnel, (x) => ({ ...x, phase: 'dying', fault: e.fault })), dial };
    }
    case 'disconnected':
      return editTunnel(o, e.tunnel, (t) => (t.phase === 'connected' ? { ...t, phase: 'wobbling' } : t));
    case 'reconnected': {
      const wasAway = o.tunnels.find((t) => t.id === e.tunnel)?.phase;
      const back = editTunnel(o, e.tunnel, (t) =>
        t.phase === 'wobbling' || t.phase === 'lost' ? { ...t, phase: 'connected', lostReason: null } : t,
      );
      return wasAway === 'wobbling' || wasAway === 'lost' ? { ...back, reconnects: o.reconnects + 1 } : back;
    }
    case 'lost':
      return lost(o, e.tunnel, e.reason, m);
    case 'heartbeat':
      return editTunnel(o, e.tunnel, (t) => ({ ...t, latencyMs: e.latencyMs }));
    case 'bound':
      return bound(o, e, m.now);
    case 'bind-failed':
      return bindFailed(o, e.tunnel, e.endpoint, e.fault, m);
    case 'serving':
      return editEndpoint(o, e.tunnel, e.endpoint, (v) =>
        v.phase === 'bound' ? { ...v, phase: 'serving', since: m.now } : v,
      );
    case 'unbound':
      return editEndpoint(o, e.tunnel, e.endpoint, () => null);
    case 'endpoint-stopped':
      return endpointStopped(o, e.tunnel, e.endpoint, e.fault, m);
    case 'upstream':
      return upstream(o, e.endpoint, e.fault);
    case 'saturated':
      return { ...o, saturated: e.on };
    case 'drained':
      return editTunnel(o, e.tunnel, (t) => ({ ...t, cut: e.cut }));
    case 'exited':
      return exited(o, e.tunnel, m);
    case 'counters':
    case 'remote':
      return o;
  }
};

/** Observed state after one event. Events of tunnels that are gone change nothing. */
export const reduce = (o: Observed, e: TunnelEvent, m: Moment): Observed =>
  withDownSince(fold(o, e, m), m.now);

/** What a probe found. A handshake that completes beside a pending connect shows that the connect hangs in a dead path. */
export const reduceProbe = (o: Observed, depth: 'tcp' | 'tls', answered: boolean, m: Moment): Observed => {
  const dial: Dial = { ...o.dial, probing: false, nextProbeAt: m.now + probeDelayMs(m.random01) };
  if (depth === 'tcp')
    return answered
      ? { ...o, dial: { ...dial, edge: 'unknown', portOpen: true, notBefore: m.now } }
      : { ...o, dial: { ...dial, portOpen: false } };
  if (!answered) return { ...o, dial };
  return {
    ...o,
    dial: { ...dial, notBefore: m.now },
    tunnels: o.tunnels.map((t) =>
      t.phase === 'starting' && m.now - t.startedAt >= SHORT_CONNECT_MS
        ? { ...t, phase: 'lost', lostReason: 'clock' }
        : t,
    ),
  };
};

/** A new address or default route: waits that only time could cure are over. */
export const reduceNetworkChange = (o: Observed, now: number): Observed => ({
  ...o,
  dial: {
    ...o.dial,
    notBefore: Math.min(o.dial.notBefore, now),
    nextProbeAt: Math.min(o.dial.nextProbeAt, now),
  },
});

/** A slot got another token: what was said to the old one no longer counts. */
export const forgetSlot = (o: Observed, slot: Slot): Observed => {
  const { [slot]: _, ...refused } = o.dial.refused;
  return { ...o, dial: { ...o.dial, refused }, bindRefusals: o.bindRefusals.filter((r) => r.slot !== slot) };
};

/** Marks an action as under way, so that the next plan does not ask for it again. */
export const issued = (o: Observed, a: Action, id: TunnelId, generation: number, now: number): Observed => {
  switch (a.kind) {
    case 'start': {
      const view: TunnelView = {
        id,
        slot: a.slot,
        generation,
        epoch: a.epoch,
        pid: null,
        phase: 'starting',
        lostReason: null,
        startedAt: now,
        connectDeadlineMs: a.connectDeadlineMs,
        connectedAt: null,
        sessionId: '',
        latencyMs: null,
        endpoints: {},
        fault: null,
        cut: [],
      };
      return { ...o, tunnels: [...o.tunnels, view] };
    }
    case 'bind':
      return editTunnel(o, a.tunnel, (t) => ({
        ...t,
        endpoints: {
          ...t.endpoints,
          [a.spec.name]: { key: a.key, phase: 'opening', url: '', endpointId: '', since: now },
        },
      }));
    case 'unbind':
      return editEndpoint(o, a.tunnel, a.endpoint, (v) => ({ ...v, phase: 'closing', since: now }));
    case 'drain':
      return editTunnel(o, a.tunnel, (t) => ({ ...t, phase: 'draining' }));
    case 'kill':
      return editTunnel(o, a.tunnel, (t) => ({ ...t, phase: 'dying' }));
    case 'probe':
      return { ...o, dial: { ...o.dial, probing: true } };
    case 'commit':
    case 'rollback':
    case 'break-first':
    case 'finish-swap':
    case 'fall-back':
      return o;
  }
};

/** Somebody asks for these endpoints anew: earlier refusals do not make them wait. */
export const forgetRefusals = (o: Observed, names: readonly string[]): Observed => ({
  ...o,
  bindRefusals: o.bindRefusals.filter((r) => !names.includes(r.endpoint)),
});
