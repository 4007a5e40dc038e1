/** Time and chance as inputs. Nothing but `systemClock` calls `Date.now()`, `performance.now()` or `Math.random()`. */
export interface Clock {
  /** Monotonic milliseconds, the same for every process of one boot; deadlines and leases are measured with it. */
  now(): number;
  /** Wall clock, milliseconds since 1970. May jump. */
  wall(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** Calls `fn` once after `ms`; the returned function cancels it. */
  after(ms: number, fn: () => void): () => void;
}

/** A timer's delay must fit in 31 bits, or Node fires it at once. */
const LONGEST_TIMER_MS = 2_000_000_000;

/** What `performance.now()` lacks, which begins with each process. */
const BEFORE_START_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const systemClock: Clock = {
  now: () => BEFORE_START_MS + performance.now(),
  wall: () => Date.now(),
  random: () => Math.random(),
  after: (ms, fn) => {
    const timer = setTimeout(fn, Math.min(Math.max(0, ms), LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`, or rejects with the signal's reason when it aborts first. */
export const sleep = (clock: Clock, ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const abort = (): void => {
      cancel();
      reject(signal?.reason as Error);
    };
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', abort);
      resolve();
    });
    signal?.addEventListener('abort', abort, { once: true });
  });
