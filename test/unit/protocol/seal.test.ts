import { CompactEncrypt, importJWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type DeviceKey,
  deviceFingerprint,
  deviceKid,
  isDeviceKeyPair,
  makeDeviceKey,
  publicDeviceKey,
} from '../../../src/protocol/device-key.ts';
import { isSealableToken, type SealedToken, sealToken, unsealToken } from '../../../src/protocol/seal.ts';
import { tokenFingerprint } from '../../../src/protocol/token-fingerprint.ts';

const body: SealedToken = { tok: '2abcDEF_canary', cid: 'cr_123', dev: 'press-7', gen: 4 };
const expected = { dev: 'press-7', gen: 4 };
let key: DeviceKey;
let other: DeviceKey;
beforeAll(async () => {
  [key, other] = await Promise.all([makeDeviceKey(), makeDeviceKey()]);
});

const why = async (sealed: string, keys: readonly DeviceKey[] = [key], want = expected): Promise<string> => {
  const opened = await unsealToken(sealed, keys, want);
  if (opened.ok) return '';
  expect(opened.fault.code).toBe('UNSEAL_FAILED');
  expect(opened.fault.message).not.toContain('canary');
  return opened.fault.message;
};

/** Seals anything, as an attacker or a faulty sender would. */
const sealRaw = async (content: string, header: object = {}): Promise<string> =>
  new CompactEncrypt(Buffer.from(content))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: key.kid, ...header })
    .encrypt(await importJWK({ kty: 'OKP', crv: 'X25519', x: key.x }, 'ECDH-ES'));

describe('sealed token', () => {
  it('is opened by the device it is for', async () => {
    const sealed = await sealToken(body, publicDeviceKey(key));
    expect(await unsealToken(sealed, [other, key], expected)).toEqual({ ok: true, value: body });
    expect(sealed).not.toContain('canary');
  });

  it('fits the command schema from the shortest to the longest token', async () => {
    const form = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){4}$/;
    for (const [tok, cid] of [
      ['x', ''],
      ['x'.repeat(512), 'c'.repeat(64)],
    ] as const) {
      const sealed = await sealToken(
        { ...body, tok, cid, dev: 'd'.repeat(63), gen: Number.MAX_SAFE_INTEGER },
        key,
      );
      expect(sealed.length).toBeGreaterThanOrEqual(200);
      expect(sealed.length).toBeLessThanOrEqual(2048);
      expect(sealed).toMatch(form);
    }
  });

  it('is not opened for another device, another generation or with another key', async () => {
    const sealed = await sealToken(body, key);
    expect(await why(sealed, [key], { dev: 'press-8', gen: 4 })).toContain('another device');
    expect(await why(sealed, [key], { dev: 'press-7', gen: 5 })).toContain('another generation');
    expect(await why(sealed, [other])).toContain('does not have');
    expect(await why(sealed, [{ ...other, kid: key.kid }])).toContain('cannot be opened');
  });

  it('is not opened with one character altered', async () => {
    const sealed = await sealToken(body, key);
    for (let at = 0; at < sealed.length; at += 7) {
      const char = sealed[at] === 'A' ? 'B' : 'A';
      if (sealed[at] === '.') continue;
      expect(await why(sealed.slice(0, at) + char + sealed.slice(at + 1)), `position ${at}`).not.toBe('');
    }
  });

  it.each([
    ['a member too many', JSON.stringify({ ...body, extra: 1 })],
    ['no token', JSON.stringify({ ...body, tok: undefined })],
    ['a token with a space', JSON.stringify({ ...body, tok: 'a b canary' })],
    ['a token too long', JSON.stringify({ ...body, tok: 'x'.repeat(513) })],
    ['a repeated member', `{"tok":"a","tok":"b","cid":"","dev":"press-7","gen":4}`],
    ['no JSON', 'canary'],
  ])('is refused with %s inside', async (_what, content) => {
    expect(await why(await sealRaw(content))).toContain('form');
  });

  it('is refused with a header outside the closed set', async () => {
    expect(await why(await sealRaw(JSON.stringify(body), { zip: undefined, cty: 'x' }))).toContain('form');
    expect(await why(await sealRaw(JSON.stringify(body), { enc: 'A128GCM' }))).toContain('form');
    expect(await why('a.b.c.d.e')).toContain('form');
    expect(await why('')).toContain('form');
  });

  it('is not made of what a device would refuse, and the error shows nothing of it', async () => {
    await expect(sealToken({ ...body, tok: 'canary with blanks' }, key)).rejects.toThrow(/^cannot seal: tok/);
    await expect(sealToken({ ...body, tok: 'canary with blanks' }, key)).rejects.not.toThrow(/canary/);
    expect(isSealableToken('2abc_DEF')).toBe(true);
    expect(isSealableToken('')).toBe(false);
    expect(isSealableToken('a\n')).toBe(false);
    expect(isSealableToken('x'.repeat(513))).toBe(false);
  });
});

describe('device key', () => {
  it('is named by its public half and shows nothing of the private one', async () => {
    expect(key.kid).toBe(await deviceKid(key.x));
    expect(key.kid).toMatch(/^e[0-9a-f]{8}$/);
    expect(publicDeviceKey(key)).toEqual({ kid: key.kid, kty: 'OKP', crv: 'X25519', x: key.x });
    expect(await deviceFingerprint(key.x)).toMatch(/^([0-9a-f]{4}-){7}[0-9a-f]{4}$/);
    expect(await deviceFingerprint(key.x)).not.toBe(await deviceFingerprint(other.x));
  });

  it('is known to be a pair or not', async () => {
    expect(await isDeviceKeyPair(key)).toBe(true);
    expect(await isDeviceKeyPair({ x: key.x, d: other.d })).toBe(false);
    expect(await isDeviceKeyPair({ x: 'AAAA', d: key.d })).toBe(false);
  });

  it('names a token by 8 hex digits of SHA-256', () => {
    expect(tokenFingerprint('abc')).toBe('ba7816bf');
  });
});
