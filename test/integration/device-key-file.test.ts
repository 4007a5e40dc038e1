import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeDeviceKey } from '../../src/protocol/device-key.ts';
import { ALWAYS_ON, type Device, startDevice, stateOf } from '../support/device.ts';

const SECOND = 'second-token-under-a-device-key-0123456789';

const vaultTexts = async ({ stateDir }: Device): Promise<string> => {
  const names = (await readdir(stateDir)).filter((name) => name.startsWith('vault.'));
  expect(names).toHaveLength(2);
  return (await Promise.all(names.map((name) => readFile(join(stateDir, name), 'utf8')))).join('\n');
};

test('with a device key from outside the state folder no authtoken lies on disk in clear, also not an earlier one', async () => {
  const device = await startDevice({ config: ALWAYS_ON });
  const first = device.sandbox.line.authtokens['default'] ?? '';
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  expect(await vaultTexts(device)).toContain(first);
  await device.kill('SIGTERM');

  const key = await makeDeviceKey();
  await writeFile(join(device.dir, 'device-key.json'), JSON.stringify(key), { mode: 0o600 });
  await device.writeConfig({
    ...ALWAYS_ON,
    device: { id: 'device-1', tenant: 'sandbox', keyFile: 'device-key.json' },
  });
  await device.start();
  await device.until((s) => stateOf(s) === 'up', 'web is up again');
  expect(await vaultTexts(device)).not.toContain(first);
  expect(device.cloud.hello()).toMatchObject({ enc: { x: key.x }, store: 'host' });

  await device.fault({ op: 'token', authtoken: SECOND });
  expect(await device.cloud.rekey(SECOND, 2)).toMatchObject({ status: 'succeeded' });
  expect(await vaultTexts(device)).not.toContain(SECOND);
  await device.kill('SIGKILL');
  await device.start();
  await device.until((s) => s.session.generation === 2 && stateOf(s) === 'up', 'back on the second token');
});

test('a device key that cannot be read ends the start with 78 and the path', async () => {
  const device = await startDevice({ start: false });
  await device.writeConfig({ device: { id: 'device-1', tenant: 'sandbox', keyFile: 'none.json' } });
  const { code, stderr } = await device.spawn().exit;
  expect(code).toBe(78);
  expect(stderr.split('\n')[0]).toContain('none.json');
});
