/** Whether there is a link, since when, and why not; whoever listens is told once per change. */
import type { Clock } from '../core/clock.ts';
import type { LinkState, LinkStatus } from '../daemon/ports.ts';
import type { Failure } from './link-errors.ts';
import { AWAY_GRACE_MS } from './link-problems.ts';

export interface Standing {
  readonly state: LinkState;
  /** Epoch milliseconds since when the state is what it is. */
  readonly sinceMs: number;
  /** Why there is no link; null while there is one. */
  readonly failure: Failure | null;
  /** For how long there has been no link; null while there is one, and when none is wanted. */
  awayMs(): number | null;
  enter(next: LinkState): void;
  /** A link is wanted from now on. */
  wanted(): void;
  lost(why: Failure): void;
  back(): void;
  /** No link is wanted any more. */
  unwanted(): void;
  /** Tells what differs from what was told last. */
  tell(): void;
}

/** @param status everything that is to be told, this standing in it */
export const createStanding = (
  clock: Clock,
  status: () => LinkStatus,
  changed: (status: LinkStatus) => void,
): Standing => {
  let state: LinkState = 'offline';
  let sinceMs = clock.wall();
  let failure: Failure | null = null;
  let awaySinceMs: number | null = null;
  let cancelAway: (() => void) | null = null;
  let lastTold = '';

  const tell = (): void => {
    const now = status();
    const text = JSON.stringify(now);
    if (text === lastTold) return;
    lastTold = text;
    changed(now);
  };
  const goneAway = (): void => {
    if (awaySinceMs !== null) return;
    awaySinceMs = clock.now();
    cancelAway = clock.after(AWAY_GRACE_MS, tell);
  };
  const awayNoMore = (): void => {
    awaySinceMs = null;
    cancelAway?.();
  };

  return {
    get state() {
      return state;
    },
    get sinceMs() {
      return sinceMs;
    },
    get failure() {
      return failure;
    },
    awayMs: () => (awaySinceMs === null ? null : clock.now() - awaySinceMs),
    enter: (next) => {
      if (state === next) return;
      state = next;
      sinceMs = clock.wall();
    },
    wanted: goneAway,
    lost: (why) => {
      failure = why;
      goneAway();
    },
    back: () => {
      failure = null;
      awayNoMore();
    },
    unwanted: awayNoMore,
    tell,
  };
};
