import { expect, test } from 'vitest';
import { trimMemory } from '../../../src/tunnel/trim-memory.ts';
import { manualClock } from '../../support/manual-clock.ts';

test('memory is given back after the start, and every ten minutes without work', async () => {
  const clock = manualClock();
  let isIdle = true;
  let collected = 0;
  trimMemory(
    clock,
    () => isIdle,
    () => () => {
      collected += 1;
    },
  );
  await clock.advance(19_999);
  expect(collected).toBe(0);
  await clock.advance(12_001);
  expect(collected).toBe(12);
  await clock.advance(600_000);
  expect(collected).toBe(13);
  isIdle = false;
  await clock.advance(1_200_000);
  expect(collected).toBe(13);
  isIdle = true;
  await clock.advance(3_600_000);
  expect(collected).toBe(19);
});
