import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startDevice } from '../support/device.ts';

test('a state folder that is a file ends the start with 73 and the path', async () => {
  const device = await startDevice({ start: false });
  const path = join(device.dir, 'no-folder');
  await writeFile(path, '');
  await device.writeConfig({ stateDir: path });
  const { code, stderr } = await device.spawn().exit;
  expect(code).toBe(73);
  expect(stderr.split('\n')[0]).toContain(path);
});

test.runIf(process.getuid?.() !== 0)(
  'a state folder that cannot be written ends the start with 73, the path and the user',
  async () => {
    const device = await startDevice({ start: false });
    const path = join(device.dir, 'read-only');
    await mkdir(path, { mode: 0o500 });
    await device.writeConfig({ stateDir: path });
    const { code, stderr } = await device.spawn().exit;
    await chmod(path, 0o700);
    expect(code).toBe(73);
    const [first = ''] = stderr.split('\n');
    expect(first).toContain(path);
    expect(first).toContain(userInfo().username);
  },
);

test('a second daemon on the same state folder is refused with 73', async () => {
  const device = await startDevice();
  const second = device.spawn();
  const { code, stderr } = await second.exit;
  expect(code).toBe(73);
  expect(stderr.split('\n')[0]).toContain(device.stateDir);
  expect((await device.status()).pid).not.toBe(second.pid);
});
