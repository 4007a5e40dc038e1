import { expect, test } from 'vitest';
import { trimMemory } from '../../../src/tunnel/trim-memory.ts';
import { manualClock } from '../../support/manual-clock.ts';

const world = () => {
  const clock = manualClock();
  const seen: string[] = [];
  const state = { isIdle: true };
  trimMemory(
    clock,
    () => state.isIdle,
    () => ({ collect: () => seen.push('collect'), release: () => seen.push('release') }),
  );
  return { clock, state, take: () => seen.splice(0) };
};

test('what the start took is collected first, and released once what still runs has settled', async () => {
  const { clock, take } = world();
  await clock.advance(19_999);
  expect(take()).toEqual([]);
  await clock.advance(11_001);
  expect(take()).toEqual(Array.from({ length: 12 }, () => 'collect'));
  await clock.advance(29_999);
  expect(take()).toEqual([]);
  await clock.advance(1);
  expect(take()).toEqual(['release']);
});

test('then pages are released every two minutes, and garbage is collected every ten', async () => {
  const { clock, take } = world();
  await clock.advance(61_000);
  take();
  await clock.advance(600_000);
  expect(take()).toEqual(['release', 'release', 'release', 'release', 'collect']);
  await clock.advance(30_000);
  expect(take()).toEqual(['release']);
});

test('a process with work is left alone, and is trimmed again once it has none', async () => {
  const { clock, state, take } = world();
  await clock.advance(61_000);
  take();
  state.isIdle = false;
  await clock.advance(3_600_000);
  expect(take()).toEqual([]);
  state.isIdle = true;
  await clock.advance(630_000);
  expect(take().filter((step) => step === 'collect')).toHaveLength(1);
});
