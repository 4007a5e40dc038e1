import { expect, test } from 'vitest';
import { createDeviceIdentity } from '../../../src/assembly/device-identity.ts';
import { makeChallenge, proveKey } from '../../../src/protocol/key-proof.ts';
import { openDeviceKeys } from '../../../src/vault/device-keys.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';

const DEVICE = 'press-7';
const NOW_S = 1_732_430_000;

const make = async () => {
  const keys = await openDeviceKeys({ dir: '/state', disk: new MemoryDisk() });
  if (!keys.ok) throw new Error(keys.fault.message);
  return { keys: keys.value, identity: await createDeviceIdentity(DEVICE, keys.value) };
};

test('two commands for a new key at once make one, and both learn it', async () => {
  const { keys, identity } = await make();
  const pinned = keys.current();
  const challenges = await Promise.all([makeChallenge(DEVICE, pinned), makeChallenge(DEVICE, pinned)]);
  const proofs = await Promise.all(challenges.map(({ sealed }) => identity.renew(sealed, NOW_S)));
  const { kid, x } = keys.current();
  expect(kid).not.toBe(pinned.kid);
  for (const [at, { secret }] of challenges.entries())
    expect(proofs[at]).toEqual({
      ok: true,
      value: { kid, x, proof: await proveKey(secret, DEVICE, { kid, x }) },
    });
  // The pinned key keeps its day of grace.
  expect(keys.openers(NOW_S).map((key) => key.kid)).toEqual([kid, pinned.kid]);
});

test('a challenge that is for nobody here does not stand in the way of the next one', async () => {
  const { keys, identity } = await make();
  const { sealed } = await makeChallenge(DEVICE, keys.current());
  const [bad, good] = await Promise.all([identity.renew('not sealed', NOW_S), identity.renew(sealed, NOW_S)]);
  expect([bad.ok, good.ok]).toEqual([false, true]);
});
