/** The client-side limiter: one for all parallel work of a process, and over a shared file for all of a user's. */
import type { Clock } from '../../core/clock.ts';
import {
  API_RATE,
  type Grant,
  grant,
  pauseAfter429Ms,
  type Rate,
  type Share,
  shareAfterRefusal,
  shareAt,
} from './rate-window.ts';

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

/** While the share is less than the limit, it is looked at so often in a window. */
const SHARE_LOOKS = 20;

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
  let share: Share = { limit: rate?.limit ?? 0, sinceMs: clock.now() };
  /** Requests of ours in the window, at the last look. */
  let sent = 0;
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
          share = shareAt(share, clock.now(), rate);
          const own = { ...rate, limit: Math.floor(share.limit) };
          const granted = await store.change((times) => grant(times, wanted, clock.wall(), own));
          sent = granted.times.length;
          release(granted.granted);
          againMs = granted.nextAtMs - clock.wall();
          // The share may have grown by one before the window moves.
          if (own.limit < rate.limit) againMs = Math.min(againMs, rate.windowMs / SHARE_LOOKS);
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
      // Those that were under way together are refused together: that is one lesson.
      if (rate !== null && clock.now() >= pausedUntilMs)
        share = shareAfterRefusal(share, sent, clock.now(), rate);
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
