import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds between two looks, and how long to look before giving up. `what` names the condition in the failure. */
export interface WaitOptions {
  readonly everyMs?: number;
  readonly deadlineMs?: number;
  readonly what?: string;
}

type Falsy = false | null | undefined | 0 | '';

/**
 * Looks again and again until `look` gives something truthy, and returns that. A `look` that throws counts as "not
 * yet"; its last error is the cause of the failure. The deadline only bounds a failing test: raising it never changes
 * a passing one.
 */
export const waitFor = async <T>(
  look: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, Falsy>> => {
  const { everyMs = 20, deadlineMs = 15_000, what = 'the condition' } = options;
  const until = performance.now() + deadlineMs;
  let cause: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen) return seen as Exclude<T, Falsy>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > until) {
      throw new Error(`gave up waiting for ${what} after ${deadlineMs} ms`, { cause });
    }
    await delay(everyMs);
  }
};
