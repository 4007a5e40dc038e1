import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mayGoOn, paceOf, parseAmount, parseWaves, planWaves } from '../../../../src/fleet/rotation/waves.ts';

const waves = (text: string) => {
  const parsed = parseWaves(text);
  if (!parsed.ok) throw new Error(parsed.fault.message);
  return parsed.value;
};

test('a canary, then shares of all', () => {
  const devices = Array.from({ length: 40 }, (_, i) => i);
  expect(planWaves(devices, waves('1,10%,50%,100%')).map((wave) => wave.length)).toEqual([1, 3, 16, 20]);
  expect(planWaves([1], waves('1,10%,50%,100%'))).toEqual([[1]]);
  expect(planWaves([1, 2, 3], waves('5'))).toEqual([[1, 2, 3]]);
  expect(planWaves([1, 2, 3], waves('1'))).toEqual([[1], [2, 3]]);
  expect(planWaves([], waves('1,100%'))).toEqual([]);
});

test('every device is in exactly one wave, in order, whatever the amounts', () => {
  const amount = fc.oneof(
    fc.integer({ min: 1, max: 50 }).map(String),
    fc.integer({ min: 1, max: 100 }).map((n) => `${n}%`),
  );
  fc.assert(
    fc.property(fc.nat(200), fc.array(amount, { minLength: 1, maxLength: 6 }), (count, amounts) => {
      const devices = Array.from({ length: count }, (_, i) => i);
      const planned = planWaves(devices, waves(amounts.join(',')));
      expect(planned.flat()).toEqual(devices);
      expect(planned.every((wave) => wave.length > 0)).toBe(true);
    }),
  );
});

test('amounts that are none are refused', () => {
  for (const text of ['', '0', '-1', '101%', 'x', '1,,2', '1;2', '1.5'])
    expect(parseWaves(text).ok).toBe(false);
  expect(parseAmount('0')).toEqual({ kind: 'count', value: 0 });
});

test('one failure of the canary is enough, later as many as allowed', () => {
  const most = { kind: 'percent', value: 5 } as const;
  expect(mayGoOn({ total: 100, failed: 1, wave: 0, waves: 4 }, most)).toBe(false);
  expect(mayGoOn({ total: 100, failed: 5, wave: 1, waves: 4 }, most)).toBe(true);
  expect(mayGoOn({ total: 100, failed: 6, wave: 1, waves: 4 }, most)).toBe(false);
  expect(mayGoOn({ total: 1, failed: 0, wave: 0, waves: 1 }, most)).toBe(true);
});

test('the pace is that of the last minute, and says what is left', () => {
  const doneAtMs = Array.from({ length: 90 }, (_, i) => i * 1000);
  expect(paceOf(doneAtMs, 0, 89_000, 61)).toEqual({ perMinute: 61, leftS: 60 });
  expect(paceOf([], 0, 5000, 3)).toEqual({ perMinute: 0, leftS: null });
  expect(paceOf([], 0, 5000, 0)).toEqual({ perMinute: 0, leftS: 0 });
});
