/** Endpoints: what is taken down, what is opened, and on which tunnel. */
import type { Desired, WantedBind } from './desired.ts';
import type { Observed, TunnelView } from './observed.ts';
import type { Collector } from './plan-collector.ts';
import { isDiscarded, isOpenOn, isServing, type Roles, refusalFor, stagedSwap } from './plan-roles.ts';

/** Another tunnel than `target` has an endpoint, as far as we know. */
const isAnythingOpen = (o: Observed, target: TunnelView): boolean =>
  o.tunnels.some((t) => t !== target && Object.keys(t.endpoints).length > 0);

/**
 * The tunnels that are to hold everything wanted. Beside the target that is the one which a staged token would take
 * over from: so a swap that is rolled back lacks nothing, and what the old token may open is known.
 */
const carriersOf = (d: Desired, o: Observed, roles: Roles): readonly TunnelView[] => {
  const { target, others } = roles;
  const able = others.filter((t) => t.phase === 'connected' && !isDiscarded(d, t));
  if (target?.phase !== 'connected') return able.slice(-1);
  const swap = stagedSwap(d);
  // What the old session has open may be what there is no room beside.
  if (swap?.breakFirst === true && isAnythingOpen(o, target)) return [];
  const incumbent = swap === null || swap.breakFirst ? undefined : able.findLast((t) => t.slot === d.current);
  return incumbent === undefined ? [target] : [incumbent, target];
};

/** Takes down what is not wanted, everywhere: a lease that ended must not live on in a tunnel that is on its way out. */
const planUnwanted = (d: Desired, t: TunnelView, isCarrier: boolean, c: Collector): void => {
  if (t.phase === 'wobbling') return;
  for (const [name, view] of Object.entries(t.endpoints)) {
    if (view.phase !== 'bound' && view.phase !== 'serving') continue;
    const wanted = d.endpoints.get(name);
    if (wanted === undefined || (isCarrier && wanted.key !== view.key))
      c.act({ kind: 'unbind', tunnel: t.id, endpoint: name });
  }
};

/** Every endpoint that can be open twice has had its turn on `t`. */
const isPooledDone = (d: Desired, o: Observed, t: TunnelView): boolean =>
  [...d.endpoints.values()].every(
    ({ spec, key }) =>
      !spec.pooling ||
      isServing(t, spec.name, key) ||
      (t.endpoints[spec.name] === undefined && refusalFor(o, t.slot, spec.name, key) !== undefined),
  );

/**
 * An endpoint that cannot be open twice moves as the last one, from its holder to the target. True when `t` may bind it
 * now.
 */
const isFreeFor = (
  d: Desired,
  o: Observed,
  t: TunnelView,
  carriers: readonly TunnelView[],
  roles: Roles,
  { spec, key }: WantedBind,
  c: Collector,
): boolean => {
  const { name } = spec;
  const holders = o.tunnels.filter((x) => x !== t && x.endpoints[name] !== undefined);
  if (holders.length > 0) {
    if (t !== roles.target || !isPooledDone(d, o, t)) return false;
    const refusal = refusalFor(o, t.slot, name, key);
    if (refusal !== undefined && (refusal.cls !== 'R' || !c.due(refusal.retryAt))) return false;
    for (const holder of holders) {
      if (holder.phase === 'lost' && holder.lostReason === 'heartbeat')
        c.act({ kind: 'kill', tunnel: holder.id });
      else if (holder.phase === 'connected' && isOpenOn(holder, name))
        c.act({ kind: 'unbind', tunnel: holder.id, endpoint: name });
    }
    return false;
  }
  // Nobody has it: the target, once its turn has come; before that, or where it is refused, the one that was there.
  const isTargetsTurn = (x: TunnelView): boolean =>
    isPooledDone(d, o, x) && refusalFor(o, x.slot, name, key) === undefined;
  const other = carriers.find((x) => x !== t);
  if (other === undefined) return true;
  return t === roles.target
    ? isTargetsTurn(t) || refusalFor(o, other.slot, name, key) !== undefined
    : !isTargetsTurn(other);
};

/** Takes down what is unwanted and opens what is missing. */
export const planEndpoints = (d: Desired, o: Observed, roles: Roles, c: Collector): void => {
  const carriers = carriersOf(d, o, roles);
  const { target, others } = roles;
  for (const t of target === undefined ? others : [...others, target])
    planUnwanted(d, t, carriers.includes(t), c);
  for (const t of carriers)
    for (const wanted of d.endpoints.values()) {
      const { spec, key } = wanted;
      if (t.endpoints[spec.name] !== undefined) continue;
      if (!spec.pooling && !isFreeFor(d, o, t, carriers, roles, wanted, c)) continue;
      const refusal = refusalFor(o, t.slot, spec.name, key);
      if (refusal === undefined || c.due(refusal.retryAt)) c.act({ kind: 'bind', tunnel: t.id, spec, key });
    }
};
