import { beforeEach, describe, expect, test } from 'vitest';
import type { ProcessEvent } from '../../../src/tunnel/messages.ts';
import { createSessionWatch, type SessionWatch } from '../../../src/tunnel/session-watch.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';

let clock: ManualClock;
let events: ProcessEvent[];
let watch: SessionWatch;
/** Whether the SDK's connection can be seen; null when nobody can tell. */
let isThere: boolean | null;

beforeEach(() => {
  clock = manualClock();
  events = [];
  isThere = true;
  watch = createSessionWatch(
    clock,
    5_000,
    () => Promise.resolve(isThere),
    (event) => {
      if (event.type !== 'heartbeat') events.push(event);
    },
  );
  watch.connected();
  watch.beat(3);
});

describe('a lost session', () => {
  test('is back after a beat and a second without another disconnect', async () => {
    watch.disconnected();
    expect(watch.isConnected).toBe(false);
    await clock.advance(50);
    watch.beat(4);
    await clock.advance(999);
    expect(events).toEqual([{ type: 'disconnected' }]);
    await clock.advance(1);
    expect(events).toEqual([{ type: 'disconnected' }, { type: 'reconnected' }]);
    expect(watch.isConnected).toBe(true);
    await clock.advance(6_000);
    expect(events).toHaveLength(2);
  });

  test('is given up after five seconds, however often the SDK has tried', async () => {
    watch.disconnected();
    await clock.advance(2_600);
    watch.disconnected();
    await clock.advance(2_399);
    expect(events).toEqual([{ type: 'disconnected' }]);
    await clock.advance(1);
    expect(events).toEqual([{ type: 'disconnected' }, { type: 'lost', reason: 'clock' }]);
  });

  test('is not given up while a beat settles over the five seconds', async () => {
    watch.disconnected();
    await clock.advance(4_900);
    watch.beat(4);
    await clock.advance(1_000);
    expect(events.at(-1)).toEqual({ type: 'reconnected' });
  });

  test('is given up when the rebind after such a beat fails', async () => {
    watch.disconnected();
    await clock.advance(4_900);
    watch.beat(4);
    await clock.advance(500);
    watch.disconnected();
    expect(events).toEqual([{ type: 'disconnected' }, { type: 'lost', reason: 'clock' }]);
  });

  test('is not back by the beat of a connection that is closed again, as with a revoked token', async () => {
    isThere = false;
    watch.disconnected();
    await clock.advance(50);
    watch.beat(2);
    watch.disconnected();
    await clock.advance(100);
    watch.beat(0);
    await clock.advance(2_400);
    watch.disconnected();
    await clock.advance(50);
    watch.beat(1);
    await clock.advance(2_399);
    expect(events).toEqual([{ type: 'disconnected' }]);
    await clock.advance(1);
    expect(events).toEqual([{ type: 'disconnected' }, { type: 'lost', reason: 'clock' }]);
  });

  test('needs a second beat where its connection cannot be seen', async () => {
    isThere = null;
    watch.disconnected();
    watch.beat(2);
    await clock.advance(4_999);
    expect(events).toEqual([{ type: 'disconnected' }]);
    watch.beat(2);
    expect(events).toEqual([{ type: 'disconnected' }, { type: 'reconnected' }]);
  });

  test('is given up when that second beat stays away', async () => {
    isThere = null;
    watch.disconnected();
    watch.beat(2);
    await clock.advance(8_500);
    expect(events).toEqual([{ type: 'disconnected' }, { type: 'lost', reason: 'clock' }]);
  });

  test('is reported lost once, and nothing after it', async () => {
    watch.disconnected();
    await clock.advance(5_000);
    watch.beat(4);
    await clock.advance(2_000);
    watch.disconnected();
    await clock.advance(60_000);
    expect(events).toEqual([{ type: 'disconnected' }, { type: 'lost', reason: 'clock' }]);
  });
});

describe('a session whose beats stay away', () => {
  test('is lost at the second beat without answer', async () => {
    watch.beat(null);
    expect(events).toEqual([]);
    watch.beat(null);
    expect(events).toEqual([{ type: 'lost', reason: 'heartbeat' }]);
  });

  test('is forgiven one late answer', () => {
    watch.beat(null);
    watch.beat(900);
    watch.beat(null);
    expect(events).toEqual([]);
  });

  test('is lost after four intervals without any', async () => {
    await clock.advance(19_999);
    expect(events).toEqual([]);
    await clock.advance(1);
    expect(events).toEqual([{ type: 'lost', reason: 'heartbeat' }]);
  });
});

test('a new supervisor is told the standing state again', async () => {
  watch.repeat();
  expect(events).toEqual([]);
  watch.disconnected();
  watch.repeat();
  expect(events).toEqual([{ type: 'disconnected' }, { type: 'disconnected' }]);
  await clock.advance(5_000);
  watch.repeat();
  expect(events.slice(2)).toEqual([
    { type: 'lost', reason: 'clock' },
    { type: 'lost', reason: 'clock' },
  ]);
});
