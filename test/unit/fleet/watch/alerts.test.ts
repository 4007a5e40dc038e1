import { expect, test } from 'vitest';
import { liveLines } from '../../../../src/fleet/cli/live-table.ts';
import { dueAlerts, type Told } from '../../../../src/fleet/watch/alerts.ts';
import { type DeviceRow, type DeviceState, deviceRow } from '../../../../src/fleet/watch/device-row.ts';
import { parseHookUrl } from '../../../../src/fleet/watch/notify.ts';
import { pollDelayMs } from '../../../../src/fleet/watch/tracker.ts';
import { settings, wholeDevice } from '../../../support/fleet-messages.ts';

const row = (device: string, state: DeviceState): DeviceRow => ({
  ...deviceRow(device, wholeDevice(device), null, settings()),
  state,
});

test('each state is told once, and the way back too', () => {
  let told: Told = new Map();
  const due = (...states: readonly (readonly [string, DeviceState])[]) => {
    const next = dueAlerts(
      told,
      states.map(([device, state]) => row(device, state)),
    );
    told = next.told;
    return next.alerts.map(({ device, state, was }) => `${device} ${was ?? '-'} > ${state}`);
  };
  expect(due(['a-1', 'online'], ['b-1', 'unknown'])).toEqual([]);
  expect(due(['a-1', 'offline'], ['b-1', 'stuck'])).toEqual(['a-1 - > offline', 'b-1 - > stuck']);
  expect(due(['a-1', 'offline'], ['b-1', 'stuck'])).toEqual([]);
  expect(due(['a-1', 'stuck'], ['b-1', 'offline'])).toEqual(['a-1 offline > stuck', 'b-1 stuck > offline']);
  expect(due(['a-1', 'online'])).toEqual(['a-1 stuck > online']);
  expect(due(['a-1', 'online'], ['b-1', 'online'])).toEqual(['b-1 offline > online']);
  expect(due(['a-1', 'offline'])).toEqual(['a-1 - > offline']);
});

test('a terminal shows trouble first, as many lines as fit, and never wider', () => {
  const rows = [
    ...Array.from({ length: 50 }, (_, i) => row(`dev-${String(i).padStart(2, '0')}`, 'online')),
    row('zz-stuck', 'stuck'),
    row('zz-gone', 'offline'),
  ];
  const lines = liveLines(rows, false, { columns: 60, rows: 12 });
  expect(lines.length).toBeLessThanOrEqual(12);
  expect(lines[0]).toContain('52 device(s): 50 online, 1 stuck, 1 offline');
  expect(lines[0]).toContain('NO LINK TO THE BROKER');
  expect(lines.slice(3, 5).map((line) => line.split(' ')[0])).toEqual(['zz-stuck', 'zz-gone']);
  expect(lines.at(-1)).toBe('… and 44 more');
  expect(lines.slice(2).every((line) => line.length <= 60)).toBe(true);
});

test('a hook in clear text is for loopback only', () => {
  expect(
    ['https://x.example/a', 'http://127.0.0.1:1/', 'http://localhost/'].map((u) => parseHookUrl(u).ok),
  ).toEqual([true, true, true]);
  expect(['http://x.example/', 'ftp://x', 'x', ''].map((u) => parseHookUrl(u).ok)).toEqual([
    false,
    false,
    false,
    false,
  ]);
});

test('long lists are asked for more rarely: a rotation needs the rate, too', () => {
  expect(pollDelayMs(60_000, [0, 0, 0])).toBe(60_000);
  expect(pollDelayMs(60_000, [1000, 1000, 1000])).toBe(60_000);
  expect(pollDelayMs(60_000, [10_000, 10_000, 10_000])).toBe(600_000);
});
