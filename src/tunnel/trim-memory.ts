/**
 * Gives memory back: what starting took, and what hours of little work leave behind. V8 lets its heap grow where nothing
 * presses it, which on a gateway for months is growth without an end in sight.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from '../core/clock.ts';
import { openReleasePages } from './release-pages.ts';

/** What starting needed is garbage by then. */
const AFTER_START_MS = 20_000;
/** V8 lets go of compiled code that several collections in a row found unused. */
const ROUNDS_AFTER_START = 12;
const PAUSE_MS = 1000;
/** What still runs has been compiled again by then, and its compiler's pages are of no use any more. */
const SETTLED_MS = 30_000;
/** A few milliseconds of work each time; some twenty more for a collection, which is due every fifth time. */
const RELEASE_EVERY_MS = 120_000;
const RELEASES_PER_COLLECTION = 5;

export interface MemoryTrim {
  /** Collects garbage thoroughly, compiled code that is not in use with it. */
  collect(): void;
  /** Returns to the system what this process has no use for. */
  release(): void;
}

const openTrim = (): MemoryTrim => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as (how: {
    readonly type: 'major';
    readonly flavor: 'last-resort';
  }) => void;
  return { collect: () => gc({ type: 'major', flavor: 'last-resort' }), release: openReleasePages() };
};

/**
 * Gives memory back some seconds after the start, then every ten minutes while `isIdle`, and what is cheap more often.
 * `open` makes the two steps, and is called once, when they are needed first.
 */
export const trimMemory = (
  clock: Pick<Clock, 'after'>,
  isIdle: () => boolean,
  open: () => MemoryTrim = openTrim,
): void => {
  clock.after(AFTER_START_MS, () => {
    const { collect, release } = open();
    const releaseAgain = (left: number): void => {
      if (isIdle()) release();
      clock.after(RELEASE_EVERY_MS, left > 1 ? () => releaseAgain(left - 1) : collectAgain);
    };
    const settle = (): void => {
      clock.after(SETTLED_MS, () => releaseAgain(RELEASES_PER_COLLECTION));
    };
    const collectAgain = (): void => {
      if (isIdle()) collect();
      settle();
    };
    const round = (left: number): void => {
      collect();
      if (left > 1) clock.after(PAUSE_MS, () => round(left - 1));
      else settle();
    };
    round(ROUNDS_AFTER_START);
  });
};
