/**
 * The time that people read, of moments that are remembered on the monotonic clock. Both clocks are read a little apart
 * each time, so their distance is held: the same moment has the same time whoever asks and whenever.
 */
import type { Clock } from '../core/clock.ts';

/** A distance that changed by so much is a step of the wall clock, and what it shows now is believed. */
const STEP_MS = 500;

export interface WallTime {
  /** Epoch milliseconds. A moment that is past is never later than the wall clock. */
  ms(at: number): number;
  /** Epoch seconds, rounded down as every time on the wire is. */
  s(at: number): number;
  /** The wall clock minus the monotonic one. */
  offsetMs(): number;
  /** Goes on with the distance that an earlier process of this boot held, unless the clock was set since. */
  carryOn(offsetMs: number): void;
}

export const createWallTime = (clock: Clock): WallTime => {
  let held = clock.wall() - clock.now();
  const offsetMs = (): number => {
    const seen = clock.wall() - clock.now();
    if (Math.abs(seen - held) >= STEP_MS) held = seen;
    return held;
  };
  const ms = (at: number): number => {
    const time = Math.floor(at + offsetMs());
    return Math.max(0, at <= clock.now() ? Math.min(time, clock.wall()) : time);
  };
  return {
    ms,
    s: (at) => Math.floor(ms(at) / 1000),
    offsetMs,
    carryOn: (offset) => {
      held = offset;
    },
  };
};
