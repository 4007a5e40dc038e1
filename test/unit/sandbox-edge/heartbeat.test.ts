import { expect, test } from 'vitest';
import { HeartbeatWatch } from '../../../src/sandbox/edge/heartbeat.ts';
import { manualClock } from '../../support/manual-clock.ts';

const setUp = () => {
  const clock = manualClock();
  const state = { isWatching: true, deaths: 0 };
  const watch = new HeartbeatWatch({
    clock,
    isWatching: () => state.isWatching,
    onDead: () => {
      state.deaths += 1;
    },
  });
  watch.start(25_000);
  return { clock, state, watch };
};

test('13: silence for the whole limit is death, and a beat puts it off', async () => {
  const { clock, state, watch } = setUp();
  await clock.advance(24_000);
  watch.beat();
  await clock.advance(24_999);
  expect(state.deaths).toBe(0);
  await clock.advance(1);
  expect(state.deaths).toBe(1);
  expect(clock.pending).toBe(0);
});

test('silence of the edge itself does not count against the agent', async () => {
  const { clock, state } = setUp();
  state.isWatching = false;
  await clock.advance(100_000);
  state.isWatching = true;
  expect(state.deaths).toBe(0);
  await clock.advance(25_000);
  expect(state.deaths).toBe(1);
});

test('leaves no timer behind when it stops', () => {
  const { clock, watch } = setUp();
  watch.stop();
  expect(clock.pending).toBe(0);
});
