import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  bindRetryMs,
  laterDelayMs,
  probeDelayMs,
  restartDelayMs,
  SLOW,
  slowDelayMs,
} from '../../../src/core/backoff.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

test('a process that dies is started again after 0, 0.5, 1, 2, then 3 s', () => {
  expect([1, 2, 3, 4, 5, 6, 1000].map(restartDelayMs)).toEqual([0, 500, 1000, 2000, 3000, 3000, 3000]);
});

test('a silent edge is asked every 2 to 4 s, whatever the chance', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (random) => {
      expect(probeDelayMs(random)).toBeGreaterThanOrEqual(2000);
      expect(probeDelayMs(random)).toBeLessThanOrEqual(4000);
    }),
  );
});

test('"not now" waits 1, 2, 4 s and so on up to half a minute, and half of each is jitter', () => {
  expect([1, 2, 3, 5, 6, 60].map((n) => laterDelayMs(n, 1))).toEqual([
    1000, 2000, 4000, 16_000, 30_000, 30_000,
  ]);
  expect(laterDelayMs(4, 0)).toBe(4000);
});

test.each([
  ['RS', MINUTE_MS, 15 * MINUTE_MS],
  ['F-cred', 15 * MINUTE_MS, 6 * HOUR_MS],
  ['F-conf', 15 * MINUTE_MS, HOUR_MS],
  ['F-acct', 5 * MINUTE_MS, HOUR_MS],
  ['F-ver', HOUR_MS, 6 * HOUR_MS],
] as const)('an answer of class %s waits from %d to %d ms', (cls, firstMs, maxMs) => {
  expect(slowDelayMs(SLOW[cls], 1, 1)).toBe(firstMs);
  expect(slowDelayMs(SLOW[cls], 1, 0)).toBe(firstMs / 2);
  expect(slowDelayMs(SLOW[cls], 2, 1)).toBe(Math.min(maxMs, 2 * firstMs));
  expect(slowDelayMs(SLOW[cls], 50, 1)).toBe(maxMs);
  expect(bindRetryMs(cls, 1, 1)).toBe(firstMs);
});

test('a URL that its last holder has not let go is asked for within seconds, later within minutes', () => {
  expect([1, 2, 3, 4, 5].map((n) => bindRetryMs('R', n, 1))).toEqual([1000, 2000, 4000, 8000, 16_000]);
  expect([6, 7, 50].map((n) => bindRetryMs('R', n, 1))).toEqual([MINUTE_MS, 2 * MINUTE_MS, 15 * MINUTE_MS]);
});
