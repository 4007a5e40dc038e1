/** Waits for conditions on state: every change of state is an occasion to look, and nothing else is. */
import type { Clock } from '../core/clock.ts';

export type WaitEnd<T> =
  | { readonly end: 'met'; readonly value: T }
  | { readonly end: 'deadline' }
  | { readonly end: 'aborted'; readonly why: string };

export interface Waiter {
  /** Looks at once, then at each `look()`, until `check` gives a value, the deadline passes, or the signal aborts. */
  until<T>(check: () => T | undefined, deadlineMs: number, signal?: AbortSignal): Promise<WaitEnd<T>>;
  /** State changed. */
  look(): void;
}

export const createWaiter = (clock: Clock): Waiter => {
  const looks = new Set<() => void>();
  return {
    look: () => {
      for (const look of [...looks]) look();
    },
    until: (check, deadlineMs, signal) =>
      new Promise((resolve) => {
        const finish = (end: Parameters<typeof resolve>[0]): void => {
          looks.delete(look);
          cancel();
          signal?.removeEventListener('abort', abort);
          resolve(end);
        };
        const look = (): void => {
          const value = check();
          if (value !== undefined) finish({ end: 'met', value });
        };
        const abort = (): void => finish({ end: 'aborted', why: String(signal?.reason ?? '') });
        const cancel = clock.after(deadlineMs, () => finish({ end: 'deadline' }));
        looks.add(look);
        if (signal?.aborted) abort();
        else {
          signal?.addEventListener('abort', abort, { once: true });
          look();
        }
      }),
  };
};
