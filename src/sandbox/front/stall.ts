import type { Clock } from '../../core/clock.ts';

/** A visitor who owes bytes, or whom bytes are owed, and moves none for this long is given up. */
const STALL_MS = 120_000;

/**
 * Watches a transfer with a visitor. `moved` counts bytes; `isTheirTurn` tells that the visitor, not the agent, keeps
 * it waiting. Calls `giveUp` once when nothing moved over a whole span in which it was their turn at both ends.
 * The returned function stops the watch.
 */
export const watchStall = (
  clock: Clock,
  moved: () => number,
  isTheirTurn: () => boolean,
  giveUp: () => void,
): (() => void) => {
  let cancel: () => void;
  const span = (): void => {
    const before = moved();
    const wasTheirTurn = isTheirTurn();
    cancel = clock.after(STALL_MS, () => {
      if (wasTheirTurn && isTheirTurn() && moved() === before) giveUp();
      else span();
    });
  };
  span();
  return () => cancel();
};
