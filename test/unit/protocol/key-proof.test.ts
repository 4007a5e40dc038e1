import { expect, test } from 'vitest';
import { makeDeviceKey, publicDeviceKey } from '../../../src/protocol/device-key.ts';
import { makeChallenge, openChallenge, proveKey } from '../../../src/protocol/key-proof.ts';
import { sealToken, unsealToken } from '../../../src/protocol/seal.ts';

test('only who holds the old key can prove the new one', async () => {
  const [old, next, other] = [await makeDeviceKey(), await makeDeviceKey(), await makeDeviceKey()];
  const challenge = await makeChallenge('press-7', old);
  const opened = await openChallenge(challenge.sealed, [old], 'press-7');
  expect(opened).toEqual({ ok: true, value: challenge.secret });
  expect(await openChallenge(challenge.sealed, [other], 'press-7')).toMatchObject({
    fault: { code: 'UNSEAL_FAILED' },
  });
  const proof = await proveKey(challenge.secret, 'press-7', publicDeviceKey(next));
  expect(proof).toMatch(/^[A-Za-z0-9_-]{43}$/);
  // Another key, another device or another challenge gives another proof.
  const others = [
    proveKey(challenge.secret, 'press-7', publicDeviceKey(other)),
    proveKey(challenge.secret, 'press-8', publicDeviceKey(next)),
    proveKey((await makeChallenge('press-7', old)).secret, 'press-7', publicDeviceKey(next)),
  ];
  for (const wrong of await Promise.all(others)) expect(wrong).not.toBe(proof);
});

test('a challenge is for one device, and neither token nor challenge passes for the other', async () => {
  const key = await makeDeviceKey();
  const { sealed } = await makeChallenge('press-7', key);
  expect((await openChallenge(sealed, [key], 'press-8')).ok).toBe(false);
  expect((await unsealToken(sealed, [key], { dev: 'press-7', gen: 2 })).ok).toBe(false);
  const token = await sealToken({ tok: 'an-authtoken', cid: '', dev: 'press-7', gen: 0 }, key);
  const taken = await openChallenge(token, [key], 'press-7');
  expect(taken).toMatchObject({ ok: false, fault: { code: 'UNSEAL_FAILED' } });
  expect(JSON.stringify(taken)).not.toContain('an-authtoken');
});
