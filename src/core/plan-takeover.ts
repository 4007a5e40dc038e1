/** Whether the target may take over, and what follows: a commit, a rollback, or the drain of those before it. */
import type { Desired } from './desired.ts';
import type { Fault } from './errors.ts';
import { isEndpointLimit } from './ngrok-codes.ts';
import type { BindRefusal, Observed, TunnelView } from './observed.ts';
import type { Collector } from './plan-collector.ts';
import { isDiscarded, isOldHopeless, isServing, type Roles, refusalFor, stagedSwap } from './plan-roles.ts';
import { endTunnel } from './plan-session.ts';

type Readiness =
  | { readonly state: 'ready' | 'waiting' }
  /** `crowded`: refused for want of room that the old session takes. */
  | { readonly state: 'refused' | 'crowded'; readonly fault: Fault };

const READY: Readiness = { state: 'ready' };
const WAITING: Readiness = { state: 'waiting' };

/** A refusal by a staged token counts against it unless the old one is refused the same, or could not serve anyway. */
const judgeStaged = (d: Desired, o: Observed, roles: Roles, refusal: BindRefusal): Readiness => {
  if (isOldHopeless(d, o) || refusalFor(o, d.current, refusal.endpoint, refusal.key) !== undefined)
    return READY;
  if (refusal.cls === 'R') return WAITING;
  const isCrowded =
    isEndpointLimit(refusal.fault.ngrokCode) && d.swap?.breakFirst === false && roles.others.length > 0;
  return { state: isCrowded ? 'crowded' : 'refused', fault: refusal.fault };
};

/** On one token a refusal stands in the way only while another tunnel of it still has the endpoint. */
const judgeReplacing = (d: Desired, roles: Roles, refusal: BindRefusal): Readiness => {
  const isHeld = roles.others.some(
    (t) =>
      (t.phase === 'connected' || t.phase === 'wobbling') &&
      t.slot === refusal.slot &&
      !isDiscarded(d, t) &&
      t.endpoints[refusal.endpoint] !== undefined,
  );
  return isHeld ? WAITING : READY;
};

/** Can the target take over: it serves all that is wanted, or is refused only what would not be served without it. */
const readiness = (d: Desired, o: Observed, target: TunnelView, roles: Roles): Readiness => {
  let isWaiting = target.phase !== 'connected';
  let crowded: Readiness | null = null;
  for (const { spec, key } of d.endpoints.values()) {
    if (isServing(target, spec.name, key)) continue;
    const refusal =
      target.endpoints[spec.name] === undefined ? refusalFor(o, target.slot, spec.name, key) : undefined;
    const verdict =
      refusal === undefined
        ? WAITING
        : stagedSwap(d) === null
          ? judgeReplacing(d, roles, refusal)
          : judgeStaged(d, o, roles, refusal);
    if (verdict.state === 'refused') return verdict;
    if (verdict.state === 'crowded') crowded = verdict;
    if (verdict.state === 'waiting') isWaiting = true;
  }
  if (crowded !== null) return crowded;
  return isWaiting ? WAITING : READY;
};

/** An endpoint that cannot be open twice and that a tunnel without heartbeats holds: it has to let go. */
const isInTheWay = (d: Desired, t: TunnelView): boolean =>
  [...d.endpoints.values()].some(({ spec }) => !spec.pooling && t.endpoints[spec.name] !== undefined);

/** True when the vault has to change before anything else is planned. */
export const planTakeover = (d: Desired, o: Observed, roles: Roles, c: Collector): boolean => {
  const { target, others } = roles;
  if (target === undefined || target.phase === 'starting') return false;
  const swap = stagedSwap(d);
  const isStaged = swap !== null && target.slot === swap.to;
  // While a swap is staged nothing but its commit may take the old one's place.
  if (swap !== null && !isStaged) return false;
  const ready = readiness(d, o, target, roles);
  if (isStaged) {
    if (ready.state === 'ready') c.act({ kind: 'commit' });
    else if (ready.state === 'refused') c.act({ kind: 'rollback', fault: ready.fault });
    else if (ready.state === 'crowded') c.act({ kind: 'break-first', fault: ready.fault });
    return ready.state !== 'waiting';
  }
  if (ready.state === 'ready') for (const old of others) endTunnel(old, isInTheWay(d, old), c);
  return false;
};
