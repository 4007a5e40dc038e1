/** The client-side limiter: one for all parallel work of a process, and over a shared file for all of a user's. */
import type { Clock } from '../../core/clock.ts';
import { API_RATE, type Grant, grant, pauseAfter429Ms, type Rate } from './rate-window.ts';

/** Where the moments of sent requests are kept; wall-clock milliseconds, since several processes may share them. */
export interface RateStore {
  /** Runs `change` on the stored moments while nobody else does; what it gives back as `times` is stored. */
  change(change: (times: readonly number[]) => Grant): Promise<Grant>;
}

/** A store for this process alone. */
export const createMemoryRateStore = (): RateStore => {
  let times: readonly number[] = [];
  return {
    change(change) {
      const result = change(times);
      times = result.times;
      return Promise.resolve(result);
    },
  };
};

export interface Limiter {
  /** Resolves when a request may be sent; it counts from then. Rejects with the signal's reason when aborted. */
  take(signal?: AbortSignal): Promise<void>;
  /** The service refused with 429: everybody waits. */
  refused(retryAfterS: number | null): void;
  /** The service answered something else. */
  accepted(): void;
  /** Milliseconds spent waiting so far, over all requests. */
  readonly waitedMs: number;
}

interface Waiter {
  readonly go: () => void;
  readonly fail: (error: unknown) => void;
  readonly sinceMs: number;
}

/** @param rate null for no limit at all (benches) */
export const createLimiter = (clock: Clock, rate: Rate | null, store: RateStore): Limiter => {
  let waiting: Waiter[] = [];
  let pausedUntilMs = 0;
  let refusals = 0;
  let waitedMs = 0;
  let isPumping = false;
  let cancelTimer: (() => void) | null = null;

  const release = (count: number): void => {
    for (const { go, sinceMs } of waiting.splice(0, count)) {
      waitedMs += clock.now() - sinceMs;
      go();
    }
  };

  const pump = async (): Promise<void> => {
    if (isPumping) return;
    isPumping = true;
    cancelTimer?.();
    cancelTimer = null;
    try {
      while (waiting.length > 0) {
        const pauseMs = pausedUntilMs - clock.now();
        let againMs = pauseMs;
        if (pauseMs <= 0) {
          if (rate === null) {
            release(waiting.length);
            return;
          }
          const wanted = waiting.length;
          const granted = await store.change((times) => grant(times, wanted, clock.wall(), rate));
          release(granted.granted);
          againMs = granted.nextAtMs - clock.wall();
        }
        if (waiting.length > 0 && againMs > 0) {
          cancelTimer = clock.after(againMs, () => void pump());
          return;
        }
      }
    } catch (error) {
      // A store that fails (a full disk) fails the requests that wait for it, not the process.
      for (const { fail } of waiting.splice(0)) fail(error);
    } finally {
      isPumping = false;
    }
  };

  return {
    take(signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason as Error);
          return;
        }
        const abort = (): void => {
          waiting = waiting.filter((other) => other !== waiter);
          reject(signal?.reason as Error);
        };
        const waiter: Waiter = {
          sinceMs: clock.now(),
          go: () => {
            signal?.removeEventListener('abort', abort);
            resolve();
          },
          fail: reject,
        };
        signal?.addEventListener('abort', abort, { once: true });
        waiting.push(waiter);
        void pump();
      });
    },
    refused(retryAfterS) {
      refusals += 1;
      const untilMs =
        clock.now() + pauseAfter429Ms(refusals, retryAfterS, (rate ?? API_RATE).windowMs, clock.random());
      pausedUntilMs = Math.max(pausedUntilMs, untilMs);
    },
    accepted() {
      refusals = 0;
    },
    get waitedMs() {
      return waitedMs;
    },
  };
};
