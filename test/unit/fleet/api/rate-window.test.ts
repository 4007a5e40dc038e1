import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLimiter, createMemoryRateStore } from '../../../../src/fleet/api/limiter.ts';
import { grant, pauseAfter429Ms } from '../../../../src/fleet/api/rate-window.ts';
import { manualClock } from '../../../support/manual-clock.ts';

const RATE = { limit: 5, windowMs: 1000 };

test('never grants more than the limit in any window, whatever is asked when', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 1, max: 9 })), { maxLength: 60 }),
      (asks) => {
        let now = 0;
        let times: readonly number[] = [];
        const sent: number[] = [];
        for (const [gap, wanted] of asks) {
          now += gap;
          const given = grant(times, wanted, now, RATE);
          times = given.times;
          for (let i = 0; i < given.granted; i += 1) sent.push(now);
          if (given.granted < wanted) expect(given.nextAtMs).toBeGreaterThan(now);
        }
        for (const at of sent)
          expect(sent.filter((t) => t >= at && t < at + RATE.windowMs).length).toBeLessThanOrEqual(
            RATE.limit,
          );
      },
    ),
  );
});

test('a clock that was set back does not block for ever', () => {
  const { granted } = grant([5000, 5000, 5000, 5000, 5000], 1, 100, RATE);
  expect(granted).toBe(1);
});

test('the pause after refusals grows, is capped, and heeds the word of the service', () => {
  expect(pauseAfter429Ms(1, null, 60_000, 0.5)).toBe(1000);
  expect(pauseAfter429Ms(3, null, 60_000, 0.5)).toBe(4000);
  expect(pauseAfter429Ms(20, null, 60_000, 0.5)).toBe(15_000);
  expect(pauseAfter429Ms(1, 30, 60_000, 0.5)).toBe(30_000);
});

test('parallel work shares one window and goes on by itself when it moves', async () => {
  const clock = manualClock();
  const limiter = createLimiter(clock, RATE, createMemoryRateStore());
  let sent = 0;
  const all = Array.from({ length: 12 }, () =>
    limiter.take().then(() => {
      sent += 1;
    }),
  );
  await clock.advance(0);
  expect(sent).toBe(5);
  await clock.advance(999);
  expect(sent).toBe(5);
  await clock.advance(1);
  expect(sent).toBe(10);
  await clock.advance(1000);
  await Promise.all(all);
  expect(sent).toBe(12);
});

test('a refusal holds everybody, an aborted one leaves the queue', async () => {
  const clock = manualClock();
  const limiter = createLimiter(clock, RATE, createMemoryRateStore());
  limiter.refused(null);
  const ending = new AbortController();
  const aborted = expect(limiter.take(ending.signal)).rejects.toThrow('enough');
  let isSent = false;
  const other = limiter.take().then(() => {
    isSent = true;
  });
  ending.abort(new Error('enough'));
  await aborted;
  // A sixtieth of the window.
  await clock.advance(16);
  expect(isSent).toBe(false);
  await clock.advance(1);
  await other;
  expect(isSent).toBe(true);
});

test('a store that fails, fails the requests that wait for it', async () => {
  const limiter = createLimiter(manualClock(), RATE, { change: () => Promise.reject(new Error('no disk')) });
  await expect(limiter.take()).rejects.toThrow('no disk');
});

test('beside another client it soon keeps to what is left, and takes all again when the other is gone', async () => {
  const clock = manualClock();
  const rate = { limit: 120, windowMs: 60_000 };
  const limiter = createLimiter(clock, rate, createMemoryRateStore());
  const taken: number[] = [];
  const asked: number[] = [];
  const serve = (): boolean => {
    const now = clock.now();
    asked.push(now);
    const recent = taken.filter((at) => now - at < rate.windowMs).length;
    if (recent >= rate.limit) return false;
    taken.push(now);
    return true;
  };
  let isOtherThere = true;
  let done = 0;
  const work = async (): Promise<void> => {
    for (;;) {
      await limiter.take();
      if (serve()) {
        done += 1;
        limiter.accepted();
      } else limiter.refused(null);
    }
  };
  const minutes = async (count: number): Promise<void> => {
    for (let s = 0; s < count * 60; s += 1) {
      if (isOtherThere) serve();
      await clock.advance(1000);
    }
  };
  // The other was there first.
  await minutes(1);
  for (let i = 0; i < 8; i += 1) void work();
  await minutes(4);
  const before = { asked: asked.length, done };
  await minutes(4);
  // Half of the limit each: the other gets its 60 a minute, and ours loses little to refusals.
  expect(asked.length - before.asked).toBeLessThan(4 * 132);
  expect(done - before.done).toBeGreaterThan(4 * 45);
  isOtherThere = false;
  await minutes(4);
  const alone = done;
  await minutes(1);
  expect(done - alone).toBeGreaterThan(110);
});
