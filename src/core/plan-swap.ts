/** The phases of a swap, and the way back to a token that worked. Each answer changes the vault before the next plan. */
import { type Desired, type DesiredSwap, otherSlot } from './desired.ts';
import { type Fault, fault } from './errors.ts';
import type { Observed, SlotHold } from './observed.ts';
import type { Collector } from './plan-collector.ts';
import { limitOf, type Roles } from './plan-roles.ts';
import { LIMIT_TRIES } from './plan-session.ts';

const DEADLINE_FAULT = fault(
  'DEADLINE',
  'The new authtoken did not prove itself in time; the old one stays in use.',
  true,
);

/** Tries of a staged token against a full account once the old session has ended. */
const ALONE_LIMIT_TRIES = 3;

/** Will this answer to a staged token still stand when its time is up? */
const isFinal = (swap: DesiredSwap, hold: SlotHold): boolean =>
  hold.cls !== 'R' && (hold.cls !== 'RS' || hold.notBefore >= swap.deadlineAt);

/** Why a staged token is given up, as far as its session tells; null while it may still come. */
const whyGivenUp = (swap: DesiredSwap, o: Observed): Fault | null => {
  const refused = o.dial.refused[swap.to];
  if (refused !== undefined) return refused.fault;
  const hold = o.dial.held[swap.to];
  if (hold === undefined) return null;
  if (limitOf(o, swap.to) === undefined) return isFinal(swap, hold) ? hold.fault : null;
  const isAlone = swap.breakFirst && o.tunnels.length === 0;
  return isAlone && (hold.attempt >= ALONE_LIMIT_TRIES || isFinal(swap, hold)) ? hold.fault : null;
};

/** The end of a staged swap's time, also while no session is wanted. True when it was rolled back. */
export const planSwapDeadline = (d: Desired, c: Collector): boolean => {
  if (d.swap?.phase !== 'staged' || !c.due(d.swap.deadlineAt)) return false;
  c.act({ kind: 'rollback', fault: DEADLINE_FAULT });
  return true;
};

/** A committed swap is over when nothing of the old slot runs; or when there is need to fall back to it. */
export const planSwapFinish = (d: Desired, o: Observed, c: Collector): boolean => {
  if (d.swap?.phase !== 'committed') return false;
  if (o.tunnels.some((t) => t.slot !== d.current) && o.dial.refused[d.current] === undefined) return false;
  c.act({ kind: 'finish-swap' });
  return true;
};

/** A current token that is refused gives way to the other slot, if that one may still work. */
const planFallBack = (d: Desired, o: Observed, c: Collector): boolean => {
  const to = otherSlot(d.current);
  if (d.swap !== null || !d.usable[to] || o.dial.refused[to] !== undefined) return false;
  const refused = o.dial.refused[d.current];
  if (refused === undefined) return false;
  c.act({ kind: 'fall-back', to, fault: refused.fault });
  return true;
};

/** True when the vault has to change before anything else is planned. */
export const planSwap = (d: Desired, o: Observed, roles: Roles, c: Collector): boolean => {
  if (planSwapDeadline(d, c) || planSwapFinish(d, o, c) || planFallBack(d, o, c)) return true;
  if (d.swap?.phase !== 'staged') return false;
  const why = whyGivenUp(d.swap, o);
  if (why !== null) {
    c.act({ kind: 'rollback', fault: why });
    return true;
  }
  const limit = limitOf(o, d.swap.to);
  if (d.swap.breakFirst || limit === undefined || limit.attempt < LIMIT_TRIES) return false;
  if (roles.others.length === 0) return false;
  c.act({ kind: 'break-first', fault: limit.fault });
  return true;
};
