import { expect, test } from 'vitest';
import { deviceRow } from '../../../../src/fleet/watch/device-row.ts';
import { missingLeaves } from '../../../../src/fleet/watch/seen.ts';
import {
  BOOT,
  health,
  hello,
  message,
  NOW_MS,
  presence,
  reader,
  reported,
  settings,
} from '../../../support/fleet-messages.ts';

const stateOf = (r: ReturnType<typeof reader>, nowMs: number): string =>
  deviceRow('press-7', r.devices.get('press-7'), null, settings({ nowMs })).state;

test('a will that comes after the birth which replaced its connection changes nothing', () => {
  const r = reader();
  r.take(message('press-7', 'presence', presence({ n: 1 })));
  r.take(message('press-7', 'presence', presence({ n: 2 }), false));
  r.take(message('press-7', 'presence', presence({ n: 1, online: false, why: 'lost' }), false));
  expect(stateOf(r, NOW_MS + 3_600_000)).toBe('online');
  // The will of the connection that stands counts.
  r.take(message('press-7', 'presence', presence({ n: 2, online: false, why: 'lost' }), false));
  expect(stateOf(r, NOW_MS + 3_600_000)).toBe('offline');
});

test('a late reader sees the device off line until it is born again, or says anything', () => {
  const late = message('press-7', 'presence', presence({ n: 1, online: false }));
  const mended = reader();
  mended.take(late);
  expect(stateOf(mended, NOW_MS)).toBe('offline');
  mended.take(message('press-7', 'presence', presence({ n: 2 }), false));
  expect(stateOf(mended, NOW_MS)).toBe('online');

  const heard = reader();
  heard.take(message('press-7', 'presence', presence({ n: 2 })));
  heard.take(message('press-7', 'presence', presence({ n: 2, online: false }), false), NOW_MS);
  heard.take(message('press-7', 'health', health(), false), NOW_MS + 60_000);
  expect(stateOf(heard, NOW_MS + 120_000)).toBe('online');
});

test('a short absence is none: a device that is back in time was never off line', () => {
  const r = reader();
  r.take(message('press-7', 'presence', presence({ n: 1 })));
  r.take(message('press-7', 'presence', presence({ n: 1, online: false }), false), NOW_MS);
  expect(stateOf(r, NOW_MS + 29_000)).toBe('online');
  expect(stateOf(r, NOW_MS + 31_000)).toBe('offline');
});

test('the interval of health is learned from two messages in a row of one start', () => {
  const r = reader();
  const take = (n: number, ts: number, boot = BOOT) =>
    r.take(message('press-7', 'health', health({ n, ts, boot }), false), ts * 1000);
  take(4, 1000);
  expect(r.devices.get('press-7')?.healthS).toBeNull();
  take(6, 1030);
  expect(r.devices.get('press-7')?.healthS).toBeNull();
  take(7, 1045);
  expect(r.devices.get('press-7')?.healthS).toBe(15);
  take(0, 1100, 'aaaaaaaaaaaaaaaa');
  expect(r.devices.get('press-7')?.healthS).toBe(15);
});

test('what cannot be read hides nothing, and what is cleared is gone', () => {
  const r = reader();
  r.take(message('press-7', 'reported', reported()));
  expect(r.take(message('press-7', 'reported', { v: 2 }))).toBe(false);
  expect(r.take({ ...message('press-7', 'reported', null), payload: Buffer.from('{"v":1,"v":1}') })).toBe(
    false,
  );
  expect(r.take(message('press-7', 'desired', { any: 1 }))).toBe(false);
  expect(r.take(message('UPPER', 'presence', presence()))).toBe(false);
  expect(r.devices.get('press-7')?.reported?.rev).toBe(3);
  expect(missingLeaves(r.devices.get('press-7'))).toEqual(['presence', 'hello']);
  r.take(message('press-7', 'hello', hello));
  r.take(message('press-7', 'reported', null));
  expect(missingLeaves(r.devices.get('press-7'))).toEqual(['presence', 'reported']);
});
