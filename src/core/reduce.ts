/** Folds events and issued actions into observed state. The only place where an `Observed` is made. */
import { bindRetryMs, limitDelayMs } from './backoff.ts';
import {
  afterConnected,
  afterConnectFailure,
  afterLoss,
  afterNetworkChange,
  afterProbe,
  afterSessionEnd,
  asked,
  classOf,
  crashFault,
  isStuck,
  type Moment,
  withoutSlot,
} from './dial.ts';
import { editEndpoint, editTunnel } from './edit-observed.ts';
import type { Fault } from './errors.ts';
import { isEndpointLimit, type NgrokClass } from './ngrok-codes.ts';
import { type BindRefusal, DISCARDED, type EndpointView, type Observed } from './observed.ts';
import type { Slot, TunnelEvent, TunnelId } from './tunnel-event.ts';

export type { Moment } from './dial.ts';

const withDownSince = (o: Observed, now: number): Observed => {
  const isUp = o.tunnels.some((t) => t.phase === 'connected' || t.phase === 'draining');
  if (isUp) return o.downSince === null ? o : { ...o, downSince: null, upSince: o.upSince ?? now };
  return o.downSince !== null ? o : { ...o, downSince: now, upSince: null };
};

const connected = (o: Observed, id: TunnelId, sessionId: string, now: number): Observed => {
  const t = o.tunnels.find((x) => x.id === id);
  // The news may cross with a kill or a drain, which stand; one that was only given up as stuck is welcome back.
  if (t === undefined || (t.phase !== 'starting' && !(t.phase === 'lost' && t.connectedAt === null)))
    return o;
  return {
    ...editTunnel(o, id, (x) => ({
      ...x,
      phase: 'connected',
      connectedAt: now,
      sessionId,
      lostReason: null,
    })),
    dial: afterConnected(o.dial, t.slot),
    hadSession: true,
    reconnects: o.reconnects + (o.downSince !== null && o.hadSession ? 1 : 0),
  };
};

const reconnected = (o: Observed, id: TunnelId): Observed => {
  const t = o.tunnels.find((x) => x.id === id);
  if (t === undefined || (t.phase !== 'wobbling' && t.phase !== 'lost')) return o;
  return {
    ...editTunnel(o, id, (x) => ({ ...x, phase: 'connected', lostReason: null })),
    dial: afterConnected(o.dial, t.slot),
    reconnects: o.reconnects + 1,
  };
};

const exited = (o: Observed, e: Extract<TunnelEvent, { type: 'exited' }>, m: Moment): Observed => {
  const t = o.tunnels.find((x) => x.id === e.tunnel);
  if (t === undefined) return o;
  const tunnels = o.tunnels.filter((x) => x.id !== e.tunnel);
  const wasAsked = t.phase === 'draining' || t.phase === 'dying';
  // One that was killed for the loss of its session leaves a gap that the next session closes; a drained one does not.
  const wasPlanned = wasAsked && t.connectedAt !== null && t.lostReason === null;
  const hadSession = o.hadSession && (!wasPlanned || tunnels.some((x) => x.connectedAt !== null));
  const dial = t.connectedAt === null ? o.dial : afterSessionEnd(o.dial);
  const rest = { ...o, tunnels, dial, hadSession };
  // A loss or a failed connect that was told before counts once.
  if (wasAsked || t.phase === 'lost' || t.fault !== null) return rest;
  return { ...rest, dial: { ...afterLoss(dial, t, m.now), lastFault: crashFault(e.code, e.signal) } };
};

const lost = (
  o: Observed,
  id: TunnelId,
  reason: 'clock' | 'heartbeat' | 'unresponsive',
  m: Moment,
): Observed => {
  const t = o.tunnels.find((x) => x.id === id);
  if (t === undefined || t.phase === 'dying' || t.phase === 'draining') return o;
  const next = editTunnel(o, id, (x) => ({ ...x, phase: 'lost', lostReason: reason }));
  return t.phase === 'lost' ? next : { ...next, dial: afterLoss(o.dial, t, m.now) };
};

/** A configuration that cannot work waits for another one; everything else without a code is the network. */
const bindClassOf = (f: Fault): NgrokClass => (f.code === 'CONFIG_INVALID' ? 'F-conf' : classOf(f));

/** Without an answer from the edge nothing is known against the endpoint: it never waits for minutes. */
const SILENT_BIND_ATTEMPTS = 3;

const bindFailed = (
  o: Observed,
  {
    tunnel: id,
    endpoint: name,
    fault: f,
    type,
  }: Extract<TunnelEvent, { type: 'bind-failed' | 'endpoint-stopped' }>,
  m: Moment,
): Observed => {
  const t = o.tunnels.find((x) => x.id === id);
  const view = t?.endpoints[name];
  if (t === undefined || view === undefined) return o;
  const gone = editEndpoint(o, id, name, () => null);
  // A process that is ending, such as one adopted in its drain, says so by this; nothing is known of the endpoint.
  if (f.code === 'CANCELLED') return editTunnel(gone, id, (x) => ({ ...x, phase: 'draining' }));
  if (view.phase === 'closing') return gone;
  // The process has it already, by order of an earlier supervisor.
  if (type === 'bind-failed' && view.phase !== 'opening')
    return editEndpoint(o, id, name, (v) => ({ ...v, key: UNKNOWN_KEY }));
  const same = o.bindRefusals.find((r) => r.endpoint === name && r.slot === t.slot && r.key === view.key);
  const attempt = (same?.attempt ?? 0) + 1;
  const cls = bindClassOf(f);
  const isAnswer = f.ngrokCode !== undefined || cls !== 'R';
  // An endpoint of a dead session of ours may be what fills the account.
  const quickMs = isEndpointLimit(f.ngrokCode) ? limitDelayMs(attempt, m.random01) : undefined;
  const slowMs = bindRetryMs(cls, isAnswer ? attempt : Math.min(attempt, SILENT_BIND_ATTEMPTS), m.random01);
  const refusal: BindRefusal = {
    endpoint: name,
    key: view.key,
    slot: t.slot,
    fault: f,
    cls,
    attempt,
    at: m.now,
    retryAt: m.now + (quickMs ?? slowMs),
  };
  const others = o.bindRefusals.filter((r) => r.endpoint !== name || r.slot !== t.slot);
  return { ...gone, bindRefusals: t.epoch === DISCARDED ? o.bindRefusals : [...others, refusal] };
};

/** Key of an endpoint of which nobody knows what it was bound with: it fits nothing, and so is bound anew. */
const UNKNOWN_KEY = '';

/** News of an endpoint that nobody here asked for: an earlier supervisor did, just before this one adopted the process. */
const bound = (o: Observed, e: Extract<TunnelEvent, { type: 'bound' }>, now: number): Observed =>
  editTunnel(o, e.tunnel, (t) => {
    const { key, phase } = t.endpoints[e.endpoint] ?? { key: UNKNOWN_KEY, phase: 'opening' };
    const view: EndpointView = {
      key,
      phase: phase === 'closing' ? 'closing' : 'bound',
      url: e.url,
      endpointId: e.endpointId,
      since: now,
    };
    return { ...t, endpoints: { ...t.endpoints, [e.endpoint]: view } };
  });

/** Only now is an earlier refusal over: an endpoint that is stopped right after each bind keeps its penalty. */
const serving = (o: Observed, id: TunnelId, name: string): Observed => {
  const t = o.tunnels.find((x) => x.id === id);
  if (t?.endpoints[name]?.phase !== 'bound') return o;
  return {
    ...editEndpoint(o, id, name, (v) => ({ ...v, phase: 'serving' })),
    bindRefusals: o.bindRefusals.filter((r) => r.endpoint !== name || r.slot !== t.slot),
  };
};

const upstream = (o: Observed, name: string, f: Fault | null): Observed => {
  const { [name]: _, ...rest } = o.upstreamFaults;
  return { ...o, upstreamFaults: f === null ? rest : { ...rest, [name]: f } };
};

const fold = (o: Observed, e: TunnelEvent, m: Moment): Observed => {
  switch (e.type) {
    case 'started':
      return editTunnel(o, e.tunnel, (t) => ({ ...t, pid: e.pid }));
    case 'connected':
      return connected(o, e.tunnel, e.sessionId, m.now);
    case 'connect-failed': {
      const t = o.tunnels.find((x) => x.id === e.tunnel);
      if (t === undefined || t.fault !== null) return o;
      const dial = t.phase === 'starting' ? afterConnectFailure(o.dial, t.slot, e.fault, m) : o.dial;
      return { ...editTunnel(o, e.tunnel, (x) => ({ ...x, phase: 'dying', fault: e.fault })), dial };
    }
    case 'disconnected':
      return editTunnel(o, e.tunnel, (t) => (t.phase === 'connected' ? { ...t, phase: 'wobbling' } : t));
    case 'reconnected':
      return reconnected(o, e.tunnel);
    case 'lost':
      return lost(o, e.tunnel, e.reason, m);
    case 'heartbeat':
      return editTunnel(o, e.tunnel, (t) => ({ ...t, latencyMs: e.latencyMs }));
    case 'bound':
      return bound(o, e, m.now);
    // A stopped endpoint is bound again, but not at once: whoever stopped it gets a moment.
    case 'bind-failed':
    case 'endpoint-stopped':
      return bindFailed(o, e, m);
    case 'serving':
      return serving(o, e.tunnel, e.endpoint);
    case 'closed':
    case 'unbound': {
      // After `closed` the name may be bound again: the streams of the one before end without meaning for it.
      const isEnding = o.tunnels.find((t) => t.id === e.tunnel)?.phase === 'draining';
      return editEndpoint(o, e.tunnel, e.endpoint, (v) => (isEnding || v.phase === 'closing' ? null : v));
    }
    case 'upstream':
      return upstream(o, e.endpoint, e.fault);
    case 'saturated':
      return { ...o, saturated: e.on };
    case 'drained':
      return editTunnel(o, e.tunnel, (t) => ({ ...t, cut: e.cut }));
    case 'exited':
      return exited(o, e, m);
    case 'counters':
    case 'connections':
    case 'remote':
      return o;
  }
};

/** Observed state after one event. Events of tunnels that are gone change nothing. */
export const reduce = (o: Observed, e: TunnelEvent, m: Moment): Observed =>
  withDownSince(fold(o, e, m), m.now);

/** What a probe found. A handshake that completes beside a pending connect shows that the connect hangs in a dead path. */
export const reduceProbe = (o: Observed, depth: 'tcp' | 'tls', answered: boolean, m: Moment): Observed => {
  const dial = afterProbe(o.dial, depth, answered, m);
  const stuck = depth === 'tls' && answered ? o.tunnels.find((t) => isStuck(o.dial, t, m.now)) : undefined;
  if (stuck === undefined) return { ...o, dial };
  return {
    ...editTunnel(o, stuck.id, (t) => ({ ...t, phase: 'lost', lostReason: 'clock' })),
    dial: { ...dial, trusting: true },
  };
};

/** A new address or default route: waits that only time could cure are over. */
export const reduceNetworkChange = (o: Observed, now: number): Observed => ({
  ...o,
  dial: afterNetworkChange(o.dial, now),
});

/** An operator asks for another try: no wait stands in its way, be it for a refused token or a refused bind. */
export const retryNow = (o: Observed, now: number): Observed => ({
  ...o,
  dial: asked(o.dial, now),
  bindRefusals: o.bindRefusals.map((r) => ({ ...r, retryAt: Math.min(r.retryAt, now) })),
});

/**
 * A slot got another token, or lost the one it had: what was said to the old one no longer counts, and tunnels that run
 * on it prove nothing about the new one.
 */
export const forgetSlot = (o: Observed, slot: Slot): Observed => ({
  ...o,
  tunnels: o.tunnels.map((t) => (t.slot === slot ? { ...t, epoch: DISCARDED } : t)),
  dial: withoutSlot(o.dial, slot),
  bindRefusals: o.bindRefusals.filter((r) => r.slot !== slot),
});

/** Somebody asks for these endpoints anew: earlier refusals do not make them wait. */
export const forgetRefusals = (o: Observed, names: readonly string[]): Observed => ({
  ...o,
  bindRefusals: o.bindRefusals.filter((r) => !names.includes(r.endpoint)),
});
