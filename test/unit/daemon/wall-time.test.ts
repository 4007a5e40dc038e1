import { expect, test } from 'vitest';
import { createWallTime } from '../../../src/daemon/wall-time.ts';
import { MANUAL_EPOCH_MS, manualClock } from '../../support/manual-clock.ts';

/** As a real machine has it: a wall clock of whole milliseconds beside a monotonic one of fractions. */
const realClock = () => {
  const clock = manualClock();
  return { ...clock, now: () => clock.now() + 0.3, wall: () => Math.floor(clock.wall() + 0.8) };
};

test('the time of a moment is the same at every call, and never later than the wall clock', async () => {
  const clock = realClock();
  const wall = createWallTime(clock);
  const seen = new Set<number>();
  const at = clock.now();
  for (let i = 0; i < 50; i += 1) {
    seen.add(wall.ms(at));
    expect(wall.ms(clock.now())).toBeLessThanOrEqual(clock.wall());
    expect(wall.s(clock.now())).toBeLessThanOrEqual(Math.floor(clock.wall() / 1000));
    await clock.advance(0.37);
  }
  expect(seen.size).toBe(1);
});

test('a clock that is set moves every time with it, one that only wanders moves none', async () => {
  const clock = manualClock(0);
  const wall = createWallTime(clock);
  await clock.advance(60_000);
  const at = clock.now();
  expect(wall.ms(at)).toBe(60_000);
  await clock.advance(5000);
  clock.setWall(MANUAL_EPOCH_MS);
  expect(wall.ms(at)).toBe(MANUAL_EPOCH_MS - 5000);
  clock.setWall(MANUAL_EPOCH_MS - 100);
  expect(wall.ms(at)).toBe(MANUAL_EPOCH_MS - 5000);
  expect(wall.ms(clock.now())).toBe(MANUAL_EPOCH_MS - 100);
});

test('what is to come may be later than now', async () => {
  const clock = manualClock();
  const wall = createWallTime(clock);
  expect(wall.s(clock.now() + 90_000)).toBe(MANUAL_EPOCH_MS / 1000 + 90);
});

test('a process of the same boot goes on with the times of the one before, unless the clock was set', async () => {
  const clock = manualClock();
  const wall = createWallTime(clock);
  wall.carryOn(MANUAL_EPOCH_MS - 0.4);
  expect(wall.offsetMs()).toBe(MANUAL_EPOCH_MS - 0.4);
  wall.carryOn(0);
  expect(wall.offsetMs()).toBe(MANUAL_EPOCH_MS);
});
