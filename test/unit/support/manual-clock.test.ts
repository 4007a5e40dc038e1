import { expect, test } from 'vitest';
import { sleep } from '../../../src/core/clock.ts';
import { manualClock } from '../../support/manual-clock.ts';

test('calls timers in their order, each at its own time', async () => {
  const clock = manualClock(1000);
  const seen: string[] = [];
  clock.after(20, () => seen.push(`b${clock.now()}`));
  clock.after(10, () => seen.push(`a${clock.now()}`));
  clock.after(20, () => seen.push(`c${clock.wall()}`));
  await clock.advance(19);
  expect(seen).toEqual(['a10']);
  await clock.advance(1);
  expect(seen).toEqual(['a10', 'b20', 'c1020']);
});

test('runs a loop that sleeps several times inside one span', async () => {
  const clock = manualClock();
  let rounds = 0;
  const loop = async (): Promise<void> => {
    while (rounds < 5) {
      await sleep(clock, 10);
      rounds += 1;
    }
  };
  const done = loop();
  await clock.advance(50);
  await done;
  expect(rounds).toBe(5);
  expect(clock.pending).toBe(0);
});

test('keeps monotonic time when the wall clock jumps', async () => {
  const clock = manualClock(5_000);
  await clock.advance(100);
  clock.setWall(1_000_000);
  expect(clock.now()).toBe(100);
  expect(clock.wall()).toBe(1_000_000);
});

test('forgets a timer that was cancelled', async () => {
  const clock = manualClock();
  const cancel = clock.after(10, () => expect.unreachable());
  expect(clock.nextInMs).toBe(10);
  cancel();
  await clock.advance(100);
  expect(clock.nextInMs).toBeNull();
});
