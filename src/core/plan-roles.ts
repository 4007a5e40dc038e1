/** Who is who among the tunnel processes, seen from what is wanted. */
import type { Desired, DesiredSwap } from './desired.ts';
import { isSessionLimit } from './ngrok-codes.ts';
import type { BindRefusal, Observed, SlotHold, TunnelView } from './observed.ts';
import { DISCARDED, isLive, tunnelFor } from './observed.ts';
import type { Slot } from './tunnel-event.ts';

export interface Roles {
  /** Slot on which a session is wanted next. */
  readonly slot: Slot;
  /** The tunnel of that slot and of the newest epoch: starting, connected or wobbling. */
  readonly target: TunnelView | undefined;
  /** Every other tunnel that carries or may soon carry traffic, oldest first. */
  readonly others: readonly TunnelView[];
}

/** The swap while it can still be rolled back. */
export const stagedSwap = (d: Desired): DesiredSwap | null => (d.swap?.phase === 'staged' ? d.swap : null);

/** The edge answers this slot, and what it answers is no. */
const isToldNo = (o: Observed, slot: Slot): boolean =>
  o.dial.refused[slot] !== undefined || (o.dial.held[slot]?.cls ?? 'R') !== 'R';

/** Is the token that a rollback would return to of any use? */
export const isOldHopeless = (d: Desired, o: Observed): boolean =>
  !d.usable[d.current] || isToldNo(o, d.current);

const wantedSlot = (d: Desired, o: Observed): Slot => {
  const swap = stagedSwap(d);
  if (swap === null) return d.current;
  const staged = tunnelFor(o, swap.to, d.epoch);
  if (swap.breakFirst || staged?.phase === 'connected') return swap.to;
  // Service first: while nothing runs, the token that worked is tried before the new one.
  const hasOld = o.tunnels.some((t) => isLive(t) && t !== staged && t.epoch !== DISCARDED);
  return hasOld || isOldHopeless(d, o) ? swap.to : d.current;
};

export const rolesOf = (d: Desired, o: Observed): Roles => {
  const slot = wantedSlot(d, o);
  const target = tunnelFor(o, slot, d.epoch);
  return { slot, target, others: o.tunnels.filter((t) => t !== target && isLive(t)) };
};

/** On a token that was given up, or on one that is neither in use nor part of a swap. */
export const isDiscarded = (d: Desired, t: TunnelView): boolean =>
  t.epoch === DISCARDED || (d.swap === null && t.slot !== d.current);

/** What keeps the slot waiting is that the account has no session left. */
export const limitOf = (o: Observed, slot: Slot): SlotHold | undefined => {
  const hold = o.dial.held[slot];
  return hold !== undefined && isSessionLimit(hold.fault.ngrokCode) ? hold : undefined;
};

export const refusalFor = (o: Observed, slot: Slot, name: string, key: string): BindRefusal | undefined =>
  o.bindRefusals.find((r) => r.slot === slot && r.endpoint === name && r.key === key);

export const isServing = (t: TunnelView, name: string, key: string): boolean => {
  const view = t.endpoints[name];
  return view !== undefined && view.key === key && view.phase === 'serving';
};

/** The edge routes visitors of `name` to this tunnel, as far as we know. */
export const isOpenOn = (t: TunnelView, name: string): boolean => {
  const phase = t.endpoints[name]?.phase;
  return phase === 'bound' || phase === 'serving';
};
