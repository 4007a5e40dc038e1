import { expect, test } from 'vitest';
import { createLimiter } from '../../../src/sandbox/api/limiter.ts';
import { manualClock } from '../../support/manual-clock.ts';

test('lets so many requests through in any window, each account on its own', async () => {
  const clock = manualClock();
  const mayAsk = createLimiter(clock, { limit: 2, windowMs: 1_000 });
  expect(mayAsk('A')).toBe(true);
  await clock.advance(600);
  expect(mayAsk('A')).toBe(true);
  expect(mayAsk('A')).toBe(false);
  expect(mayAsk('B')).toBe(true);
  // The window slides: the first request leaves it, the second one stays.
  await clock.advance(400);
  expect(mayAsk('A')).toBe(true);
  expect(mayAsk('A')).toBe(false);
});

test('follows a limit that is changed while it counts, and does not count what it refused', async () => {
  const clock = manualClock();
  const rate = { limit: 1, windowMs: 1_000 };
  const mayAsk = createLimiter(clock, rate);
  expect(mayAsk('A')).toBe(true);
  expect(mayAsk('A')).toBe(false);
  rate.limit = 2;
  expect(mayAsk('A')).toBe(true);
  await clock.advance(1_000);
  rate.limit = 0;
  expect(mayAsk('A')).toBe(false);
});
