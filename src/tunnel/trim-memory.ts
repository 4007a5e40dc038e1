/**
 * Gives memory back: what starting took, and what hours of little work leave behind. V8 lets its heap grow where nothing
 * presses it, which on a gateway for months is growth without an end in sight.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from '../core/clock.ts';

/** What starting needed is garbage by then. */
const AFTER_START_MS = 20_000;
/** V8 lets go of compiled code that several collections in a row found unused. */
const ROUNDS_AFTER_START = 12;
const PAUSE_MS = 1000;
/** Some twenty milliseconds of work each time. */
const EVERY_MS = 600_000;

const collectAll = (): (() => void) => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as (how: {
    readonly type: 'major';
    readonly flavor: 'last-resort';
  }) => void;
  return () => gc({ type: 'major', flavor: 'last-resort' });
};

/**
 * Collects garbage thoroughly some seconds after the start, then every ten minutes while `isIdle`. `prepare` gives the
 * function that does it, and is called once, when it is needed first.
 */
export const trimMemory = (
  clock: Pick<Clock, 'after'>,
  isIdle: () => boolean,
  prepare: () => () => void = collectAll,
): void => {
  let collect: () => void = () => undefined;
  const look = (): void => {
    if (isIdle()) collect();
    clock.after(EVERY_MS, look);
  };
  const round = (left: number): void => {
    collect();
    clock.after(left > 1 ? PAUSE_MS : EVERY_MS, left > 1 ? () => round(left - 1) : look);
  };
  clock.after(AFTER_START_MS, () => {
    collect = prepare();
    round(ROUNDS_AFTER_START);
  });
};
