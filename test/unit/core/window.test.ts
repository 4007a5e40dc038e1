import { expect, test } from 'vitest';
import { parseWindow, type Window, windowsAt } from '../../../src/core/window.ts';

const BERLIN = 'Europe/Berlin';

const window = (text: string): Window => {
  const parsed = parseWindow(text);
  if (!parsed.ok) throw new Error(parsed.fault.message);
  return parsed.value;
};

/** Openings (from, to) between two instants, found by following `changesAtMs`. */
const openings = (text: string, from: string, to: string, zone = BERLIN): string[] => {
  const windows = [window(text)];
  const end = Date.parse(to);
  const seen: string[] = [];
  let at = Date.parse(from);
  for (let state = windowsAt(windows, at, zone); ; ) {
    if (state.changesAtMs === null || state.changesAtMs > end) return seen;
    at = state.changesAtMs;
    state = windowsAt(windows, at, zone);
    seen.push(`${state.open ? 'open' : 'shut'} ${new Date(at).toISOString().slice(0, 16)}`);
  }
};

test.each([
  ['mon-fri 08:00-17:00', [1, 2, 3, 4, 5], 480, 1020],
  ['fri-mon 00:00-24:00', [5, 6, 0, 1], 0, 1440],
  ['sat,sun 22:00-02:00', [6, 0], 1320, 1560],
  ['daily 02:30-03:30', [0, 1, 2, 3, 4, 5, 6], 150, 210],
])('reads %s', (text, days, startMinute, endMinute) => {
  expect(window(text)).toEqual({ days, startMinute, endMinute, zone: '' });
});

test.each([
  ['', 'is not DAYS'],
  ['mon 8:00-17:00', 'has a time'],
  ['mon 08:00-24:30', 'has a time'],
  ['mon 24:00-08:00', 'has a time'],
  ['mon 08:60-09:00', 'has a time'],
  ['mon 08:00-08:00', 'ends when it begins'],
  ['mo 08:00-09:00', 'names a day'],
  ['mon--fri 08:00-09:00', 'names a day'],
  ['mon, 08:00-09:00', 'names a day'],
  ['mon 08:00-09:00 Europe/Atlantis', 'names the time zone "Europe/Atlantis"'],
  ['mon 08:00 - 09:00', 'is not DAYS'],
])('refuses %j', (text, why) => {
  const parsed = parseWindow(text);
  expect(parsed.ok ? '' : parsed.fault.message).toContain(why);
});

test('opens and shuts on its days only', () => {
  expect(openings('mon,wed 08:00-17:00', '2026-11-22T00:00Z', '2026-11-29T00:00Z')).toEqual([
    'open 2026-11-23T07:00',
    'shut 2026-11-23T16:00',
    'open 2026-11-25T07:00',
    'shut 2026-11-25T16:00',
  ]);
});

test('carries a window over midnight', () => {
  expect(openings('sat 22:00-02:00 UTC', '2026-11-27T00:00Z', '2026-12-01T00:00Z')).toEqual([
    'open 2026-11-28T22:00',
    'shut 2026-11-29T02:00',
  ]);
});

test.each([
  ['sun 02:30-03:30', ['open 2027-03-28T01:00', 'shut 2027-03-28T01:30']],
  ['sun 01:30-02:30', ['open 2027-03-28T00:30', 'shut 2027-03-28T01:00']],
  ['sun 02:15-02:45', ['open 2027-03-28T01:00', 'shut 2027-03-28T01:30']],
])('opens %s once in the night when an hour is left out', (text, expected) => {
  expect(openings(text, '2027-03-27T00:00Z', '2027-03-29T00:00Z')).toEqual(expected);
});

test.each([
  ['sun 01:30-03:30', ['open 2027-10-30T23:30', 'shut 2027-10-31T02:30']],
  ['sun 02:30-03:30', ['open 2027-10-31T00:30', 'shut 2027-10-31T02:30']],
  ['sun 01:30-02:15', ['open 2027-10-30T23:30', 'shut 2027-10-31T00:15']],
])('opens %s once in the night when an hour comes twice', (text, expected) => {
  expect(openings(text, '2027-10-30T00:00Z', '2027-11-01T00:00Z')).toEqual(expected);
});

test('stays open for good over days that join', () => {
  expect(windowsAt([window('daily 00:00-24:00')], Date.parse('2026-11-25T12:00Z'), BERLIN)).toEqual({
    open: true,
    changesAtMs: null,
  });
});

test('is open when there are no windows', () => {
  expect(windowsAt([], 0, 'UTC')).toEqual({ open: true, changesAtMs: null });
});
