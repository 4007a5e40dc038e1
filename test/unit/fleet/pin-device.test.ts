import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDeviceBook } from '../../../src/fleet/device-book.ts';
import { keyFromHello, pinDevice, readDeviceKeyFile, sealingKey } from '../../../src/fleet/pin-device.ts';
import { type DeviceKey, deviceFingerprint, makeDeviceKey } from '../../../src/protocol/device-key.ts';
import type { HelloMessage } from '../../../src/protocol/presence-schema.ts';
import { tempDir } from '../../support/temp-dir.ts';

const hello = ({ kid, x }: DeviceKey): HelloMessage => ({
  v: 1,
  boot: '9f3c1a7e5b2d4c60',
  agent: 'test',
  proto: 5,
  trust: 'signed',
  ops: [],
  enc: { kid, crv: 'X25519', x },
});

const keyFile = async (body: object): Promise<string> => {
  const path = join(await tempDir(), 'key.json');
  await writeFile(path, JSON.stringify(body));
  return path;
};

test("reads what the device's --init printed", async () => {
  const { kid, x } = await makeDeviceKey();
  const path = await keyFile({ id: 'press-7', kid, x, fingerprint: await deviceFingerprint(x) });
  expect(await readDeviceKeyFile(path, 'press-7')).toEqual({ ok: true, value: { kid, x } });
});

test('refuses the key of another device, a wrong fingerprint, a private key and no key', async () => {
  const { kid, x, d } = await makeDeviceKey();
  const refuse = async (body: object) => {
    const read = await readDeviceKeyFile(await keyFile(body), 'press-7');
    expect(read.ok).toBe(false);
    expect(JSON.stringify(read)).not.toContain(d);
  };
  await refuse({ id: 'press-8', kid, x });
  await refuse({ id: 'press-7', kid, x, fingerprint: '0000-0000' });
  await refuse({ kid, x, d });
  await refuse({ kid, x: 'abc' });
  await refuse([]);
});

test('takes the published key when its fingerprint is the one that was read out, however it is written', async () => {
  const key = await makeDeviceKey();
  const fingerprint = await deviceFingerprint(key.x);
  const { kid, x } = key;
  expect(await keyFromHello(hello(key), 'press-7', fingerprint.toUpperCase().replaceAll('-', ' '))).toEqual({
    ok: true,
    value: { kid, x },
  });
  expect(await keyFromHello(hello(key), 'press-7', fingerprint.slice(0, 9))).toMatchObject({
    ok: false,
    fault: { code: 'PIN_MISMATCH' },
  });
  expect(await keyFromHello(null, 'press-7', fingerprint)).toMatchObject({ ok: false });
});

test('does not put another key in the place of a pin unless told to', async () => {
  const book = openDeviceBook(await tempDir());
  const [one, two] = [await makeDeviceKey(), await makeDeviceKey()];
  const pin = (key: DeviceKey, isReplacing: boolean) =>
    pinDevice(book, 'press-7', { kid: key.kid, x: key.x }, isReplacing);
  expect(await pin(one, false)).toMatchObject({ ok: true });
  expect(await pin(one, false)).toMatchObject({ ok: true });
  expect(await pin(two, false)).toMatchObject({ ok: false, fault: { code: 'PIN_MISMATCH' } });
  expect(await pin(two, true)).toMatchObject({ ok: true });
});

test('seals to the pin alone, and not at all when the device shows another key', async () => {
  const [pinned, other] = [await makeDeviceKey(), await makeDeviceKey()];
  const pin = { kid: pinned.kid, x: pinned.x };
  expect(sealingKey(pin, hello(pinned), 'press-7')).toEqual({ ok: true, value: pin });
  expect(sealingKey(pin, null, 'press-7')).toEqual({ ok: true, value: pin });
  expect(sealingKey(pin, hello(other), 'press-7')).toMatchObject({ fault: { code: 'PIN_MISMATCH' } });
  expect(sealingKey(undefined, hello(other), 'press-7')).toMatchObject({ fault: { code: 'PIN_MISSING' } });
});
