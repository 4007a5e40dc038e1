import { describe, expect, test } from 'vitest';
import { deviceRow } from '../../../../src/fleet/watch/device-row.ts';
import type { DeviceFacts } from '../../../../src/fleet/watch/facts.ts';
import { judgeDevice, type WatchSettings } from '../../../../src/fleet/watch/judge.ts';
import {
  goodFacts,
  health,
  message,
  NOW_MS,
  NOW_S,
  presence,
  reader,
  settings,
  wholeDevice,
} from '../../../support/fleet-messages.ts';

const codes = (...args: Parameters<typeof judgeDevice>): readonly string[] =>
  judgeDevice(...args).map(({ code }) => code);

const daysAgo = (days: number): string => new Date(NOW_MS - days * 86_400_000).toISOString();
const [credential] = goodFacts().credentials;
const [session] = goodFacts().sessions;
if (credential === undefined || session === undefined) throw new Error('the facts are empty');

test('a healthy device has no condition, with and without the API', () => {
  expect(codes(wholeDevice(), null, settings())).toEqual([]);
  expect(codes(wholeDevice(), goodFacts(), settings())).toEqual([]);
});

test('on line and silent for three of its own intervals is stuck', () => {
  const r = reader();
  r.take(message('press-7', 'presence', presence()));
  const at = (s: number, n: number) =>
    r.take(message('press-7', 'health', health({ n, ts: NOW_S + s }), false), NOW_MS + s * 1000);
  at(0, 1);
  at(15, 2);
  const rowAt = (s: number) =>
    deviceRow(
      'press-7',
      r.devices.get('press-7'),
      null,
      settings({ nowMs: NOW_MS + s * 1000, listeningSinceMs: NOW_MS }),
    );
  expect(rowAt(15 + 45).state).toBe('online');
  expect(rowAt(15 + 46)).toMatchObject({
    state: 'stuck',
    conditions: [{ code: 'SILENT', severity: 'error' }],
  });
  // Whoever has not listened cannot tell.
  expect(codes(r.devices.get('press-7'), null, settings({ nowMs: NOW_MS + 10_000_000 }))).toEqual([]);
});

test.each([
  [
    'a session down for long',
    { session: { state: 'down', since: NOW_S - 200, err: 'NGROK_NET' } },
    'SESSION_DOWN',
    'stuck',
  ],
  [
    'a session that comes and goes',
    { session: { state: 'connecting', since: NOW_S - 60 } },
    undefined,
    'online',
  ],
  [
    'a refused token',
    { session: { state: 'auth-failed' }, cred: { gen: 2, state: 'refused' } },
    'TOKEN_REFUSED',
    'stuck',
  ],
  [
    'no token',
    { session: { state: 'stopped' }, cred: { gen: 0, state: 'missing' } },
    'TOKEN_REFUSED',
    'stuck',
  ],
  ['a lock', { session: { state: 'stopped' }, locked: true }, 'LOCKED', 'online'],
  ['nothing wanted', { session: { state: 'stopped' }, endpoints: [] }, undefined, 'online'],
  ['a document not carried out', { rev: 4, applied: 3 }, 'NOT_APPLIED', 'online'],
  ['a document not taken', { bad: { code: 'BAD_ARGS', rev: 4 } }, 'NOT_APPLIED', 'online'],
  [
    'an endpoint that fails',
    { endpoints: [{ name: 'web', state: 'denied', code: 'UPSTREAM_DENIED' }] },
    'ENDPOINT_DOWN',
    'online',
  ],
  [
    'its own condition',
    { conditions: [{ code: 'UPSTREAM_DOWN', severity: 'warning', since: 1, msg: 'closed' }] },
    'UPSTREAM_DOWN',
    'online',
  ],
] as const)('%s', (_what, over, code, state) => {
  const row = deviceRow('press-7', wholeDevice('press-7', { reported: over as never }), null, settings());
  expect([row.conditions[0]?.code, row.state]).toEqual([code, state]);
});

describe('what ngrok knows', () => {
  test.each<[string, Partial<DeviceFacts>, readonly string[], Partial<WatchSettings>?]>([
    ['no ACL', { credentials: [{ ...credential, acl: [], isUnrestricted: true }] }, ['TOKEN_UNRESTRICTED']],
    ['old', { credentials: [{ ...credential, createdAt: daysAgo(91) }] }, ['TOKEN_OLD']],
    ['two that stay', { credentials: [credential, { ...credential, id: 'cr_0' }] }, ['CREDENTIALS_LEFT']],
    [
      'two during a swap',
      { credentials: [{ ...credential, id: 'cr_2', gen: 2, createdAt: daysAgo(0) }, credential] },
      [],
    ],
    ['another generation', { credentials: [{ ...credential, gen: 5 }] }, ['GENERATION_BEHIND']],
    ['none', { credentials: [] }, ['NO_CREDENTIAL', 'STRAY_SESSION']],
    ['no session', { sessions: [] }, ['NO_SESSION']],
    [
      'a foreign credential',
      { sessions: [session, { ...session, id: 'ts_2', credential: 'cr_x' }] },
      ['STRAY_SESSION'],
    ],
    ['shared', { sessions: [session, { ...session, id: 'ts_2', ip: '192.0.2.9' }] }, ['TOKEN_SHARED']],
    [
      'used by another device',
      { sessions: [session, { ...session, id: 'ts_2', says: 'press-8', startedAt: daysAgo(0) }] },
      ['TOKEN_SHARED'],
    ],
    [
      'the second of a fresh hand-over',
      { sessions: [session, { ...session, id: 'ts_2', startedAt: daysAgo(0) }] },
      [],
    ],
  ])('%s', (_what, over, expected, more) => {
    expect(codes(wholeDevice(), goodFacts(over), settings(more))).toEqual(expected);
  });

  test('a URL that two devices serve is said of both; two sessions of one device only when they stay', () => {
    const url = 'https://press-7.edge.test';
    const pool = (sessions: string[], devices: string[]) => settings({ pools: [{ url, sessions, devices }] });
    expect(codes(wholeDevice(), goodFacts(), pool(['ts_1', 'ts_9'], ['press-7', 'press-8']))).toEqual([
      'STRAY_POOL_MEMBER',
    ]);
    const two = {
      ...goodFacts(),
      sessions: [session, { ...session, id: 'ts_2', credential: 'cr_1', startedAt: daysAgo(0) }],
    };
    expect(codes(wholeDevice(), two, pool(['ts_1', 'ts_2'], ['press-7']))).toEqual([]);
    const old = { ...two, sessions: [session, { ...session, id: 'ts_2' }] };
    expect(codes(wholeDevice(), old, pool(['ts_1', 'ts_2'], ['press-7']))).toEqual([
      'TOKEN_SHARED',
      'STRAY_POOL_MEMBER',
    ]);
    expect(codes(wholeDevice(), goodFacts(), pool(['ts_8', 'ts_9'], ['press-8']))).toEqual([]);
  });
});

test('a device that only ngrok knows has a row, and says so', () => {
  const row = deviceRow('press-9', undefined, goodFacts({ sessions: [] }), settings());
  expect(row).toMatchObject({ state: 'unknown', versions: null, lastSeen: null });
  expect(row.conditions.map(({ code }) => code)).toEqual(['NEVER_SEEN']);
});
