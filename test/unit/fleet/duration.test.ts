import { expect, test } from 'vitest';
import { parseDurationS } from '../../../src/fleet/duration.ts';

test.each([
  ['90', 90],
  ['90s', 90],
  ['15m', 900],
  ['1h', 3600],
  ['7d', 604_800],
  [' 5m ', 300],
])('reads %j as %i seconds', (text, seconds) => {
  expect(parseDurationS(text)).toBe(seconds);
});

test.each(['', 'm', '1.5h', '-5', '5 m', '1h30m', '15M', '1e3', '9999999999', 'soon'])(
  'refuses %j',
  (text) => {
    expect(parseDurationS(text)).toBeUndefined();
  },
);
