import { expect, test } from 'vitest';
import { createDeviceClock } from '../../../src/daemon/device-clock.ts';
import { MANUAL_EPOCH_MS, manualClock } from '../../support/manual-clock.ts';

const NOW_S = MANUAL_EPOCH_MS / 1000;
const DAY_S = 86_400;

const world = (isSynchronised = false) => {
  const clock = manualClock();
  const device = createDeviceClock({
    clock,
    buildS: NOW_S - 100 * DAY_S,
    isSynchronised: () => isSynchronised,
  });
  return { clock, device };
};

test('time is the highest of clock, floor and build; behind them the clock is no proof', () => {
  const { clock, device } = world();
  expect(device.time(0)).toEqual({ state: 'rtc', nowS: NOW_S });
  expect(device.time(NOW_S + 5)).toEqual({ state: 'floor', nowS: NOW_S + 5 });
  clock.setWall(0);
  expect(device.time(0)).toEqual({ state: 'floor', nowS: NOW_S - 100 * DAY_S });
});

test('the floor follows the clock, but over more than a day only with two senders that agree with it', () => {
  const { clock, device } = world();
  expect(device.raise(NOW_S - 60, NOW_S)).toBe(NOW_S);
  clock.setWall((NOW_S + 2 * DAY_S) * 1000);
  // The one before the jump agreed with another clock.
  expect(device.raise(NOW_S, NOW_S + 2 * DAY_S)).toBe(NOW_S);
  expect(device.raise(NOW_S, NOW_S)).toBe(NOW_S);
  expect(device.raise(NOW_S, NOW_S + 2 * DAY_S)).toBe(NOW_S);
  expect(device.raise(NOW_S, NOW_S + 2 * DAY_S)).toBe(NOW_S + 2 * DAY_S);
  clock.setWall(NOW_S * 1000);
  expect(device.raise(NOW_S + 2 * DAY_S, NOW_S)).toBe(NOW_S + 2 * DAY_S);
});

test('a synchronised clock needs no witness', () => {
  const { device } = world(true);
  expect(device.raise(NOW_S - 9 * DAY_S, 0)).toBe(NOW_S);
});

test('a jump is told once, of the first look after it', () => {
  const { clock, device } = world();
  expect(device.jumped()).toBe(false);
  clock.setWall((NOW_S + DAY_S + 1) * 1000);
  expect(device.jumped()).toBe(true);
  expect(device.jumped()).toBe(false);
});
