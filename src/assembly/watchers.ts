/** Looks at what may change under the daemon: lock file, token file, network addresses, the disk. */
import { networkInterfaces } from 'node:os';
import type { Clock } from '../core/clock.ts';

const LOOK_MS = 2000;

/** Addresses of this machine as one text; a change means another network. */
export const addressesNow = (): string =>
  Object.entries(networkInterfaces())
    .flatMap(([name, all]) => (all ?? []).filter((a) => !a.internal).map((a) => `${name} ${a.address}`))
    .toSorted()
    .join('\n');

/** Calls `look` about every two seconds, never twice at a time, until the returned function is called. */
export const every = (clock: Clock, look: () => Promise<void>, everyMs = LOOK_MS): (() => void) => {
  let cancel: () => void = () => undefined;
  let isOver = false;
  const next = (): void => {
    if (isOver) return;
    cancel = clock.after(everyMs, () => {
      look()
        .catch(() => undefined)
        .finally(next);
    });
  };
  next();
  return () => {
    isOver = true;
    cancel();
  };
};
