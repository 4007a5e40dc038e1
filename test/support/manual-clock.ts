import type { Clock } from '../../src/core/clock.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly fn: () => void;
}

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /**
   * Moves both clocks on by `ms`, calling due timers in their order, each at its own time. Between two timers the
   * promise queue is emptied, so that code awaiting a timer runs on and may set the next one inside the same span.
   */
  advance(ms: number): Promise<void>;
  /** Sets the wall clock alone, as a time server does; timers do not move. */
  setWall(wallMs: number): void;
  /** The next values of `random()`; afterwards it gives 0.5. */
  queueRandom(...values: number[]): void;
  /** Timers that wait. */
  readonly pending: number;
  /** Milliseconds until the next timer, or null. */
  readonly nextInMs: number | null;
}

/** 2026-01-01T00:00:00Z, where a manual clock starts unless told otherwise. */
export const MANUAL_EPOCH_MS = 1_767_225_600_000;

/** Lets everything run that only waits for promises. */
export const flushPromises = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Makes a manual clock: monotonic time from 0, wall clock from `wallMs`. */
export const manualClock = (wallMs: number = MANUAL_EPOCH_MS): ManualClock => {
  let now = 0;
  let offset = wallMs;
  let order = 0;
  const timers = new Set<Timer>();
  const randoms: number[] = [];

  const next = (): Timer | undefined => {
    let first: Timer | undefined;
    for (const timer of timers) {
      if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
        first = timer;
    }
    return first;
  };

  return {
    now: () => now,
    wall: () => now + offset,
    random: () => randoms.shift() ?? 0.5,
    after: (ms, fn) => {
      order += 1;
      const timer: Timer = { at: now + Math.max(0, ms), order, fn };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    async advance(ms) {
      const end = now + ms;
      await flushPromises();
      for (let timer = next(); timer && timer.at <= end; timer = next()) {
        now = timer.at;
        timers.delete(timer);
        timer.fn();
        await flushPromises();
      }
      now = end;
      await flushPromises();
    },
    setWall(ms) {
      offset = ms - now;
    },
    queueRandom(...values) {
      randoms.push(...values);
    },
    get pending() {
      return timers.size;
    },
    get nextInMs() {
      const timer = next();
      return timer ? timer.at - now : null;
    },
  };
};
