import { expect, test } from 'vitest';
import type { JournalEntry, TokenSlot, VaultState } from '../../../src/daemon/ports.ts';
import { askedOf, isPoisoned, judgeUnfinished, targetsOf } from '../../../src/daemon/resume.ts';
import type { Snapshot } from '../../../src/daemon/snapshot.ts';

const entry = (op: string, more: Partial<JournalEntry> = {}): JournalEntry => ({
  id: '01JF0K8ZQ4M9T2V5X7B3000001',
  op,
  status: 'executing',
  n: 2,
  ts: 1,
  expS: 100,
  digest: 'd',
  attempts: 1,
  ...more,
});

const slot = (generation: number): TokenSlot => ({
  generation,
  authtoken: `token-${generation}`,
  credentialId: '',
  fingerprint: '00000000',
  source: 'rekey',
  state: 'proved',
});

const vault = (more: Partial<VaultState> = {}): VaultState => ({
  a: slot(1),
  b: null,
  current: 'a',
  swap: null,
  seedDigest: '',
  ...more,
});

const snapshot = (state: string): Snapshot =>
  ({ endpoints: [{ name: 'web', state }] }) as unknown as Snapshot;

test('a swap found half done is judged only when the vault has ended it', () => {
  const rekey = entry('rekey', { out: { gen: 2 } });
  const staged = vault({ b: slot(2), swap: { to: 'b', phase: 'staged', commandId: rekey.id } });
  expect(judgeUnfinished(rekey, staged, snapshot('up'), null)).toBeNull();
  expect(judgeUnfinished(rekey, vault({ b: slot(2), current: 'b' }), snapshot('up'), null)).toMatchObject({
    status: 'succeeded',
    out: { gen: 2 },
  });
  const fault = { code: 'NGROK_AUTH_REFUSED', message: 'refused', retryable: false } as const;
  expect(judgeUnfinished(rekey, vault(), snapshot('up'), fault)).toMatchObject({
    status: 'failed',
    code: 'NGROK_AUTH_REFUSED',
    out: { gen: 1 },
  });
  expect(judgeUnfinished(rekey, vault(), snapshot('up'), null)).toMatchObject({ code: 'CANCELLED' });
});

test('a start or stop is judged by what the endpoint does', () => {
  const start = entry('start', { out: { ep: 'web' } });
  const stop = entry('stop', { out: { ep: 'web' } });
  expect(judgeUnfinished(start, vault(), snapshot('opening'), null)).toBeNull();
  expect(judgeUnfinished(start, vault(), snapshot('up'), null)).toMatchObject({ status: 'succeeded' });
  expect(judgeUnfinished(stop, vault(), snapshot('up'), null)).toBeNull();
  expect(judgeUnfinished(stop, vault(), snapshot('down'), null)).toMatchObject({ status: 'succeeded' });
  expect(judgeUnfinished(stop, vault(), snapshot('opening'), null)).toBeNull();
  const refusal = { code: 'NGROK_ACL_DENIED', message: 'refused', retryable: false };
  const failed = { endpoints: [{ name: 'web', state: 'failed', lastError: refusal }] } as unknown as Snapshot;
  expect(judgeUnfinished(start, vault(), failed, null)).toMatchObject({
    status: 'failed',
    code: refusal.code,
  });
  expect(judgeUnfinished(entry('restart'), vault(), snapshot('up'), null)).toMatchObject({
    status: 'unknown',
  });
});

test('a command that was taken up twice after the daemon ended is poison, a swap never is', () => {
  expect(isPoisoned(entry('start', { attempts: 2 }))).toBe(false);
  expect(isPoisoned(entry('start', { attempts: 3 }))).toBe(true);
  expect(isPoisoned(entry('rekey', { attempts: 9 }))).toBe(false);
  expect(targetsOf(entry('start', { out: { ep: '*' } }), ['a', 'b'])).toEqual(['a', 'b']);
  expect(targetsOf(entry('start', { out: { ep: 'a' } }), ['a', 'b'])).toEqual(['a']);
  expect(targetsOf(entry('ping'), ['a'])).toEqual([]);
});

test('what a start or stop asked for is known after a restart', () => {
  expect(askedOf(entry('start', { out: { ep: 'web', lease_s: 600 } }))).toEqual({
    op: 'start',
    args: { ep: 'web', lease_s: 600 },
  });
  expect(askedOf(entry('stop', { out: { ep: '*' } }))).toEqual({ op: 'stop', args: { ep: '*' } });
  expect(askedOf(entry('start', { out: { url: 'https://a.test' } }))).toBeNull();
  expect(askedOf(entry('rekey', { out: { gen: 2 } }))).toBeNull();
});
