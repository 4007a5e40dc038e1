/** Gives back what starting took: a daemon that idles for months should not hold the room its first seconds needed. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from '../core/clock.ts';

/** Endpoints are up by then, and what they needed is garbage. */
const AFTER_MS = 20_000;
/** V8 lets go of compiled code that several collections in a row found unused. */
const ROUNDS = 12;
const PAUSE_MS = 1000;

type Collect = (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void;

/** Once, some seconds after the start. V8 shrinks its space for new objects only when told that memory is short. */
export const trimMemoryOnce = (clock: Clock): void => {
  const round = (collect: Collect, left: number): void => {
    collect({ type: 'major', flavor: 'last-resort' });
    if (left > 1) clock.after(PAUSE_MS, () => round(collect, left - 1));
  };
  clock.after(AFTER_MS, () => {
    setFlagsFromString('--expose-gc');
    round(runInNewContext('gc') as Collect, ROUNDS);
  });
};
