/** Gives back what starting took: a daemon that idles for months should not hold the room its first seconds needed. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from '../core/clock.ts';

/** Endpoints are up by then, and what they needed is garbage. */
const AFTER_MS = 20_000;

type Collect = (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void;

/** Once, some seconds after the start. V8 shrinks its space for new objects only when told that memory is short. */
export const trimMemoryOnce = (clock: Clock): void => {
  clock.after(AFTER_MS, () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as Collect;
    collect({ type: 'major', flavor: 'last-resort' });
  });
};
