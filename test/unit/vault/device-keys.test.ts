import { describe, expect, it } from 'vitest';
import { isDeviceKeyPair, makeDeviceKey } from '../../../src/protocol/device-key.ts';
import { sealToken, unsealToken } from '../../../src/protocol/seal.ts';
import { type DeviceKeys, OLD_KEY_KEPT_S, openDeviceKeys } from '../../../src/vault/device-keys.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';

const NOW_S = 1_732_430_000;
const open = async (disk: MemoryDisk, credential?: string): Promise<DeviceKeys> => {
  const keys = await openDeviceKeys({
    dir: '/state',
    disk,
    ...(credential === undefined ? {} : { credential }),
  });
  if (!keys.ok) throw new Error(keys.fault.message);
  return keys.value;
};

describe('device keys', () => {
  it('are made once and stay over restarts', async () => {
    const disk = new MemoryDisk();
    const first = await open(disk);
    expect(await isDeviceKeyPair(first.current())).toBe(true);
    expect(first).toMatchObject({ level: 'file', recovered: 'no', cipher: undefined });
    expect((await open(disk)).current()).toEqual(first.current());
  });

  it('open tokens sealed to the old key for a day after a change', async () => {
    const disk = new MemoryDisk();
    const keys = await open(disk);
    const old = keys.current();
    const sealed = await sealToken({ tok: 't', cid: '', dev: 'press-7', gen: 1 }, old);
    expect((await keys.rotate(NOW_S)).ok).toBe(true);
    expect(keys.current().kid).not.toBe(old.kid);
    const again = await open(disk);
    expect(again.current()).toEqual(keys.current());
    const expected = { dev: 'press-7', gen: 1 };
    expect((await unsealToken(sealed, again.openers(NOW_S + OLD_KEY_KEPT_S), expected)).ok).toBe(true);
    expect((await unsealToken(sealed, again.openers(NOW_S + OLD_KEY_KEPT_S + 1), expected)).ok).toBe(false);
  });

  it('survive damage to either copy, and are made anew, and said to be lost, after damage to both', async () => {
    const disk = new MemoryDisk();
    const key = (await open(disk)).current();
    disk.put('/state/device-key.0.json', '');
    const repaired = await open(disk);
    expect(repaired.current()).toEqual(key);
    expect(repaired.recovered).toBe('slot');
    await repaired.rotate(NOW_S);
    disk.put('/state/device-key.1.json', Buffer.alloc(200));
    expect((await open(disk)).recovered).toBe('slot');
    disk.put('/state/device-key.0.json', '{}');
    disk.put('/state/device-key.1.json', '');
    const lost = await open(disk);
    expect(lost.recovered).toBe('lost');
    expect(await isDeviceKeyPair(lost.current())).toBe(true);
  });

  it('are not given out when they cannot be stored', async () => {
    const disk = new MemoryDisk();
    disk.break('EROFS');
    const keys = await openDeviceKeys({ dir: '/state', disk });
    expect(keys.ok ? '' : keys.fault.code).toBe('STORE_FAILED');
  });

  it('may come from a credential, and then encrypt state at rest', async () => {
    const disk = new MemoryDisk();
    const pair = await makeDeviceKey();
    const keys = await open(disk, JSON.stringify(pair));
    expect(keys.current()).toEqual(pair);
    expect(keys.level).toBe('host');
    expect(disk.paths()).toEqual([]);
    expect(keys.cipher?.open(keys.cipher.seal('secret'))).toBe('secret');
    expect((await keys.rotate(NOW_S)).ok).toBe(false);
    const other = await makeDeviceKey();
    for (const bad of ['{', '{}', JSON.stringify({ ...pair, d: other.d })]) {
      const refused = await openDeviceKeys({ dir: '/state', disk, credential: bad });
      expect(refused.ok ? '' : refused.fault.code).toBe('CONFIG_INVALID');
    }
  });
});
