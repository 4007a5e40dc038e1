/**
 * The heart: desired and observed state in, actions out. Pure and level-triggered: it never learns why it was woken, and
 * asking twice with the actions of the first answer marked as issued yields nothing new.
 */
import type { Action } from './action.ts';
import type { BindSpec } from './endpoint.ts';
import { type Fault, fault } from './errors.ts';
import { type BindRefusal, isLive, type Observed, type TunnelView, tunnelFor } from './observed.ts';
import { SHORT_CONNECT_MS } from './reduce.ts';
import type { Slot } from './tunnel-event.ts';

/** Every third try waits this long for slow links. */
export const LONG_CONNECT_MS = 20_000;

export interface WantedBind {
  readonly spec: BindSpec;
  /** Fingerprint of everything that needs a new bind when it changes. */
  readonly key: string;
}

export interface DesiredSwap {
  readonly to: Slot;
  readonly phase: 'staged' | 'committed';
  /** End the old session before the new one starts: the account has no room for two. */
  readonly breakFirst: boolean;
  /** Monotonic milliseconds after which a staged swap is rolled back. */
  readonly deadlineAt: number;
}

export interface Desired {
  /** False while locked, parked, stopping or without any token: every tunnel drains. */
  readonly session: boolean;
  readonly endpoints: ReadonlyMap<string, WantedBind>;
  readonly current: Slot;
  /** Slots that hold a token which may be tried. */
  readonly usable: Readonly<Record<Slot, boolean>>;
  readonly swap: DesiredSwap | null;
  readonly epoch: number;
}

export interface Plan {
  readonly actions: readonly Action[];
  /** Monotonic milliseconds at which the plan would say something else by itself; null when never. */
  readonly wakeAt: number | null;
}

const otherSlot = (slot: Slot): Slot => (slot === 'a' ? 'b' : 'a');

/** Collects actions and the earliest wake-up. */
const collector = (now: number) => {
  const actions: Action[] = [];
  let wakeAt: number | null = null;
  return {
    act: (action: Action): void => void actions.push(action),
    /** True when `at` has come; else remembers to wake then. */
    due: (at: number): boolean => {
      if (at <= now) return true;
      wakeAt = wakeAt === null ? at : Math.min(wakeAt, at);
      return false;
    },
    done: (): Plan => ({ actions, wakeAt }),
  };
};
type Collector = ReturnType<typeof collector>;

const refusalFor = (o: Observed, slot: Slot, name: string, key: string): BindRefusal | undefined =>
  o.bindRefusals.find((r) => r.slot === slot && r.endpoint === name && r.key === key);

const isServing = (t: TunnelView, name: string, key: string): boolean => {
  const view = t.endpoints[name];
  return view !== undefined && view.key === key && view.phase === 'serving';
};

/** Drains or ends what must not run while no session is wanted. */
const planStop = (o: Observed, c: Collector): void => {
  for (const t of o.tunnels) {
    if (t.phase === 'starting' || (t.phase === 'lost' && t.lostReason !== 'heartbeat'))
      c.act({ kind: 'kill', tunnel: t.id });
    else if (isLive(t)) c.act({ kind: 'drain', tunnel: t.id });
  }
};

/** Which slot and epoch a session is wanted on next, all refusals and phases of a swap considered. */
const sessionTarget = (d: Desired, o: Observed): Slot => {
  if (d.swap === null || d.swap.phase === 'committed') return d.current;
  if (d.swap.breakFirst) return d.swap.to;
  // Service first: while nothing runs, the token that worked is tried before the new one.
  const hasOld = o.tunnels.some((t) => isLive(t) && t.slot === d.current);
  const oldIsHopeless = !d.usable[d.current] || o.dial.refused[d.current] !== undefined;
  return hasOld || oldIsHopeless ? d.swap.to : d.current;
};

const planStart = (d: Desired, o: Observed, slot: Slot, now: number, c: Collector): void => {
  if (!d.usable[slot]) return;
  const starting = o.tunnels.find((t) => t.phase === 'starting');
  if (starting !== undefined) {
    // A connect that takes its long deadline may hang in a path that is dead by now; a handshake beside it tells.
    if (starting.connectDeadlineMs > SHORT_CONNECT_MS && c.due(starting.startedAt + SHORT_CONNECT_MS))
      if (!o.dial.probing && c.due(o.dial.nextProbeAt)) c.act({ kind: 'probe', depth: 'tls' });
    return;
  }
  // One process at a time: a dying one may still hold its session at the edge.
  if (o.tunnels.some((t) => t.phase === 'dying' && t.slot === slot)) return;
  if (!c.due(o.dial.refused[slot]?.notBefore ?? now)) return;
  if (o.dial.edge === 'silent') {
    if (!o.dial.probing && c.due(o.dial.nextProbeAt)) c.act({ kind: 'probe', depth: 'tcp' });
    return;
  }
  if (!c.due(o.dial.notBefore)) return;
  const connectDeadlineMs = o.dial.failures % 3 === 2 ? LONG_CONNECT_MS : SHORT_CONNECT_MS;
  c.act({ kind: 'start', slot, epoch: d.epoch, connectDeadlineMs });
};

/** A refused token: a staged one is rolled back, a current one gives way to the other slot if that may still work. */
const planRefusedToken = (d: Desired, o: Observed, c: Collector): boolean => {
  if (d.swap?.phase === 'staged') {
    const refused = o.dial.refused[d.swap.to];
    if (refused !== undefined) {
      c.act({ kind: 'rollback', fault: refused.fault });
      return true;
    }
    return false;
  }
  const other = otherSlot(d.current);
  const refused = o.dial.refused[d.current];
  if (refused !== undefined && d.swap === null && d.usable[other] && o.dial.refused[other] === undefined) {
    c.act({ kind: 'fall-back', to: other, fault: refused.fault });
    return true;
  }
  return false;
};

const planUnwanted = (d: Desired, t: TunnelView, c: Collector): void => {
  for (const [name, view] of Object.entries(t.endpoints)) {
    if (view.phase !== 'bound' && view.phase !== 'serving') continue;
    if (d.endpoints.get(name)?.key !== view.key) c.act({ kind: 'unbind', tunnel: t.id, endpoint: name });
  }
};

/** Opens what is wanted on `t`; endpoints that cannot pool wait until no other tunnel holds them. */
const planBinds = (
  d: Desired,
  o: Observed,
  t: TunnelView,
  others: readonly TunnelView[],
  c: Collector,
): void => {
  const pooledDone = [...d.endpoints.values()].every(
    ({ spec, key }) =>
      !spec.pooling || isServing(t, spec.name, key) || refusalFor(o, t.slot, spec.name, key) !== undefined,
  );
  for (const { spec, key } of d.endpoints.values()) {
    if (t.endpoints[spec.name] !== undefined) continue;
    if (!spec.pooling) {
      const holders = others.filter((x) => x.endpoints[spec.name] !== undefined);
      for (const holder of holders) {
        const view = holder.endpoints[spec.name];
        if (pooledDone && (view?.phase === 'bound' || view?.phase === 'serving'))
          c.act({ kind: 'unbind', tunnel: holder.id, endpoint: spec.name });
      }
      if (holders.length > 0) continue;
    }
    const refusal = refusalFor(o, t.slot, spec.name, key);
    if (refusal !== undefined && !c.due(refusal.retryAt)) continue;
    c.act({ kind: 'bind', tunnel: t.id, spec, key });
  }
};

type Readiness =
  | { readonly state: 'ready' | 'waiting' }
  | { readonly state: 'refused'; readonly fault: Fault };

/** Can `t` take over from `others`: it serves all that is wanted, or is refused only what nobody serves. */
const readiness = (d: Desired, o: Observed, t: TunnelView, others: readonly TunnelView[]): Readiness => {
  let isWaiting = t.phase !== 'connected';
  for (const { spec, key } of d.endpoints.values()) {
    if (isServing(t, spec.name, key)) continue;
    const refusal = refusalFor(o, t.slot, spec.name, key);
    const isServedElsewhere = others.some((x) => {
      const view = x.endpoints[spec.name];
      return view !== undefined && (view.phase === 'bound' || view.phase === 'serving');
    });
    const isFinal = refusal !== undefined && refusal.cls !== 'R';
    if (isFinal && isServedElsewhere) return { state: 'refused', fault: refusal.fault };
    if (!isFinal) isWaiting = true;
  }
  return { state: isWaiting ? 'waiting' : 'ready' };
};

const planTakeover = (
  d: Desired,
  o: Observed,
  t: TunnelView,
  others: readonly TunnelView[],
  c: Collector,
): void => {
  const isStaged = d.swap?.phase === 'staged' && t.slot === d.swap.to;
  const ready = readiness(d, o, t, others);
  if (isStaged) {
    if (ready.state === 'ready') c.act({ kind: 'commit' });
    else if (ready.state === 'refused') c.act({ kind: 'rollback', fault: ready.fault });
    return;
  }
  if (ready.state !== 'ready') return;
  for (const old of others) if (isLive(old)) c.act({ kind: 'drain', tunnel: old.id });
};

const DEADLINE_FAULT = fault(
  'DEADLINE',
  'The new authtoken did not prove itself in time; the old one stays in use.',
  true,
);

const planSwapEnd = (d: Desired, o: Observed, c: Collector): boolean => {
  if (d.swap === null) return false;
  if (d.swap.phase === 'committed') {
    if (!o.tunnels.some((t) => t.slot !== d.current)) c.act({ kind: 'finish-swap' });
    return false;
  }
  if (c.due(d.swap.deadlineAt)) {
    c.act({ kind: 'rollback', fault: DEADLINE_FAULT });
    return true;
  }
  // 108 at the new session while the old one is up: the account has no slot to spare.
  const limited = o.dial.lastFault?.code === 'NGROK_LIMIT' ? o.dial.lastFault : null;
  const hasOld = o.tunnels.some((t) => isLive(t) && t.slot === d.current);
  if (!d.swap.breakFirst && limited !== null && hasOld) {
    c.act({ kind: 'break-first', fault: limited });
    return true;
  }
  return false;
};

/** The plan for this moment. */
export const plan = (d: Desired, o: Observed, now: number): Plan => {
  const c = collector(now);
  if (!d.session) {
    planStop(o, c);
    return c.done();
  }
  if (planSwapEnd(d, o, c) || planRefusedToken(d, o, c)) return c.done();

  for (const t of o.tunnels)
    if (t.phase === 'lost' && t.lostReason !== 'heartbeat') c.act({ kind: 'kill', tunnel: t.id });

  const slot = sessionTarget(d, o);
  const target = tunnelFor(o, slot, d.epoch);
  const others = o.tunnels.filter((t) => t !== target && (isLive(t) || t.phase === 'draining'));
  const live = others.filter(isLive);

  // A tunnel of a slot that is neither current nor staged (a rolled-back one) has no business any more.
  // After a commit the old slot's one still drains.
  const isStray = (t: TunnelView): boolean =>
    t.slot !== d.current && d.swap?.to !== t.slot && d.swap?.phase !== 'committed';
  for (const t of o.tunnels)
    if (isStray(t) && (t.phase === 'starting' || isLive(t))) c.act({ kind: 'kill', tunnel: t.id });

  if (d.swap?.phase === 'staged' && d.swap.breakFirst && live.some((t) => t.slot === d.current)) {
    for (const t of live) if (t.slot === d.current) c.act({ kind: 'drain', tunnel: t.id });
    return c.done();
  }
  if (target === undefined || target.phase === 'starting') planStart(d, o, slot, now, c);

  const carrier =
    target?.phase === 'connected' ? target : live.findLast((t) => t.phase === 'connected' && !isStray(t));
  for (const t of [target, ...live]) if (t?.phase === 'connected' && !isStray(t)) planUnwanted(d, t, c);
  if (carrier !== undefined)
    planBinds(
      d,
      o,
      carrier,
      o.tunnels.filter((t) => t !== carrier && (isLive(t) || t.phase === 'draining')),
      c,
    );
  if (target?.phase === 'connected') planTakeover(d, o, target, live, c);
  return c.done();
};
