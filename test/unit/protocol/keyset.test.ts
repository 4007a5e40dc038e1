import { beforeAll, describe, expect, it } from 'vitest';
import { signEnvelope } from '../../../src/protocol/envelope.ts';
import {
  isAllowed,
  type KeySet,
  openKeySet,
  openTrust,
  parseKeysFile,
  type RingKey,
  replaceKeySet,
  signKeySet,
} from '../../../src/protocol/keyset.ts';
import { makeTrustFixture, NOW_S, type TrustFixture } from '../../support/trust-fixture.ts';

let fixture: TrustFixture;
beforeAll(async () => {
  fixture = await makeTrustFixture();
});
const sign = (change: Partial<KeySet>) => signKeySet({ ...fixture.set, ...change }, fixture.root);

describe('key set', () => {
  it('opens when a root key signed it', async () => {
    expect(await openKeySet(fixture.file.set, fixture.file.root)).toEqual({ ok: true, value: fixture.set });
  });

  it('is refused when signed by anybody else, under a root kid or its own', async () => {
    for (const signer of [fixture.stranger, { ...fixture.stranger, kid: 'root-1' }, fixture.ops]) {
      const opened = await openKeySet(await signKeySet(fixture.set, signer), fixture.file.root);
      expect(opened.ok ? '' : opened.fault.code).toBe('NOT_ALLOWED');
    }
  });

  it('is refused as another type, with a member too many, with one kid twice, or with what is no key', async () => {
    const [first] = fixture.set.keys;
    if (first === undefined) throw new TypeError('a key');
    const bodies: readonly (readonly ['lk1-keys' | 'lk1-cmd', object])[] = [
      ['lk1-cmd', fixture.set],
      ['lk1-keys', { ...fixture.set, more: 1 }],
      ['lk1-keys', { ...fixture.set, keys: [first, first] }],
      ['lk1-keys', { ...fixture.set, keys: [{ ...first, x: 'short' }] }],
      ['lk1-keys', { ...fixture.set, keys: [{ ...first, d: 'private' }] }],
      ['lk1-keys', { version: 1 }],
    ];
    for (const [typ, body] of bodies) {
      const opened = await openKeySet(await signEnvelope(typ, body, fixture.root), fixture.file.root);
      expect(opened.ok ? '' : opened.fault.code).toBe('BAD_ARGS');
    }
  });
});

describe('trust', () => {
  it('takes the higher version of file and state folder', async () => {
    for (const [version, expected] of [
      [2, 3],
      [3, 3],
      [4, 4],
    ] as const) {
      const trust = await openTrust(fixture.file, await sign({ version }));
      expect(trust.ok && trust.value.set.version).toBe(expected);
    }
  });

  it('passes over a kept set that no root of the file signed, and fails when none holds', async () => {
    const foreign = await signKeySet({ ...fixture.set, version: 9 }, { ...fixture.stranger, kid: 'root-1' });
    const trust = await openTrust(fixture.file, foreign);
    expect(trust.ok && trust.value.set.version).toBe(3);
    const none = await openTrust({ ...fixture.file, set: foreign }, undefined);
    expect(none.ok ? '' : none.fault.code).toBe('CONFIG_INVALID');
    const kept = await openTrust({ ...fixture.file, set: foreign }, fixture.file.set);
    expect(kept.ok && kept.value.set.version).toBe(3);
  });

  it('only rises', async () => {
    const up = await replaceKeySet(fixture.trust, await sign({ version: 4, keys: [] }), NOW_S);
    expect(up.ok && [...up.value.ring.keys()]).toEqual(['root-1']);
    const same = await replaceKeySet(fixture.trust, fixture.file.set, NOW_S);
    expect(same.ok && same.value).toBe(fixture.trust);
    const codes = await Promise.all(
      [sign({ version: 2 }), sign({ keys: [] }), sign({ version: 4, expires: NOW_S - 1 })].map(
        async (jws) => {
          const result = await replaceKeySet(fixture.trust, await jws, NOW_S);
          return result.ok ? '' : result.fault.code;
        },
      ),
    );
    expect(codes).toEqual(['GEN_STALE', 'REV_CONFLICT', 'EXPIRED']);
  });
});

describe('rights of a key', () => {
  const command = (ops: string[], groups?: string[]): RingKey => {
    const key = fixture.trust.ring.get('ops-1');
    if (key?.role !== 'command') throw new TypeError('a command key');
    const { groups: _, ...limits } = key.limits;
    return { ...key, limits: { ...limits, ops, ...(groups === undefined ? {} : { groups }) } };
  };

  it('are its operations, and the groups it may address', () => {
    expect(isAllowed(command(['stop']), 'stop')).toBe(true);
    expect(isAllowed(command(['stop']), 'rekey')).toBe(false);
    expect(isAllowed(command(['stop']), 'desired')).toBe(false);
    expect(isAllowed(command(['*']), 'desired')).toBe(true);
    expect(isAllowed(command(['stop'], ['lab']), 'stop', 'lab')).toBe(true);
    expect(isAllowed(command(['stop'], ['lab']), 'stop', 'hall')).toBe(false);
    expect(isAllowed(command(['stop'], ['lab']), 'stop')).toBe(true);
    expect(isAllowed(command(['stop'], []), 'stop', 'hall')).toBe(true);
    expect(isAllowed(command(['stop']), 'stop', 'hall')).toBe(true);
  });

  it('of a root key end with bringing a new key set', () => {
    const root = fixture.trust.ring.get('root-1');
    if (root === undefined) throw new TypeError('a root key');
    expect(isAllowed(root, 'keys')).toBe(true);
    expect(isAllowed(root, 'ping')).toBe(false);
    expect(isAllowed(root, 'desired')).toBe(false);
    expect(isAllowed(root, 'keys', 'lab')).toBe(false);
  });
});

describe('keys file', () => {
  it('is read with a byte order mark and Windows line ends as well', () => {
    const text = JSON.stringify(fixture.file, null, 2);
    const windows = `\ufeff${text.replaceAll('\n', '\r\n')}`;
    expect(parseKeysFile(windows)).toEqual(parseKeysFile(text));
    expect(parseKeysFile(text)).toEqual({ ok: true, value: fixture.file });
  });

  it.each([
    ['{', 'is not usable JSON (syntax)'],
    ['{"v":1,"v":1}', 'is not usable JSON (duplicate-key)'],
    ['{"v":1,"root":[],"set":"x"}', 'root must NOT have fewer than 1 items'],
    ['{"v":2,"root":[],"set":"x"}', 'v must be 1'],
  ])('is refused as %s', (text, message) => {
    expect(parseKeysFile(text)).toEqual({ ok: false, message });
  });
});
