import { chmod, mkdir, stat, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ALWAYS_ON, startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

test('a state folder that is a file ends the start with 73 and the path', async () => {
  const device = await startDevice({ start: false });
  const path = join(device.dir, 'no-folder');
  await writeFile(path, '');
  await device.writeConfig({ stateDir: path });
  const { code, stderr } = await device.spawn().exit;
  expect(code).toBe(73);
  expect(stderr.split('\n')[0]).toContain(path);
});

test('a state folder that cannot be written ends the start with 73, the path and the user', async () => {
  const device = await startDevice({ start: false, unprivileged: true });
  const path = join(device.dir, 'read-only');
  await mkdir(path, { mode: 0o500 });
  await device.writeConfig({ stateDir: path });
  const { code, stderr } = await device.spawn().exit;
  expect(code).toBe(73);
  const [first = ''] = stderr.split('\n');
  expect(first).toContain(path);
  const isRoot = process.getuid?.() === 0;
  expect(first).toContain(isRoot ? 'nobody' : userInfo().username);
});

test('a state folder that becomes read-only costs no traffic, refuses what must be kept, and heals by itself', async () => {
  const device = await startDevice({
    unprivileged: true,
    config: ALWAYS_ON,
  });
  const { cloud } = device;
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  await device.fault({ op: 'token', authtoken: 'second-token' });
  const owned = await stat(device.stateDir);
  // Root may write whatever the mode says; the daemon may not.
  await chmod(device.stateDir, 0o555);
  const restore = (): Promise<void> => chmod(device.stateDir, owned.mode & 0o777);
  try {
    await device.until((s) => s.conditions.some((c) => c.code === 'STORE_DEGRADED'), 'the condition stands');
    expect(await cloud.rekey('second-token', 2)).toMatchObject({ status: 'failed', code: 'STORE_FAILED' });
    expect((await device.status()).credential).toMatchObject({ generation: 1, state: 'ok' });
    expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded' });
    expect((await device.visit()).status).toBe(200);
    await waitFor(() => cloud.events().some((e) => e.type === 'store.degraded'));
    expect(await cloud.command('stop', { args: { ep: 'web' } })).toMatchObject({ status: 'succeeded' });
    expect((await device.visit()).status).toBe(404);
  } finally {
    await restore();
  }
  await device.until((s) => s.conditions.every((c) => c.code !== 'STORE_DEGRADED'), 'healed', 60_000);
  expect(await cloud.command('start', { args: { ep: 'web' } })).toMatchObject({ status: 'succeeded' });
  expect(await cloud.rekey('second-token', 2)).toMatchObject({ status: 'succeeded' });
});

test('a second daemon on the same state folder is refused with 73', async () => {
  const device = await startDevice();
  const second = device.spawn();
  const { code, stderr } = await second.exit;
  expect(code).toBe(73);
  expect(stderr.split('\n')[0]).toContain(device.stateDir);
  expect((await device.status()).pid).not.toBe(second.pid);
});
