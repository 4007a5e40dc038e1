/** The disk under the state folder: full and read-only, while the daemon runs and at its start. */
import { expect, test } from 'vitest';
import { type Device, isAlive, type StatusSeen, startDevice, stateOf } from '../support/device.ts';
import { faultBroker } from '../support/fault-broker.ts';
import { mountSmallDisk, whyNoDisk } from '../support/fault-disk.ts';
import { waitFor } from '../support/wait-for.ts';

const WEB = { name: 'web', proto: 'http', upstream: 'hmi', url: 'https://device-1.edge.test' };

const degraded = (s: StatusSeen): string | undefined =>
  s.conditions.find(({ code }) => code === 'STORE_DEGRADED')?.message;

const sound = (device: Device, what: string): Promise<StatusSeen> =>
  device.until((s) => degraded(s) === undefined && s.credential.state === 'ok', what);

/** What a device still does, and what it refuses, while nothing can be stored. */
const checkOnBadDisk = async (device: Device, gen: number, why: string): Promise<void> => {
  const { cloud } = device;
  const before = (await device.status()).credential.generation;
  expect(await cloud.rekey(`token-${gen}`, gen)).toMatchObject({
    status: 'failed',
    code: 'STORE_FAILED',
    retry_s: expect.any(Number),
  });
  const status = await device.until(degraded, 'the condition stands');
  expect(degraded(status)).toContain(why);
  expect(status.credential).toMatchObject({ generation: before, state: 'ok' });
  expect(stateOf(status)).toBe('up');
  expect((await device.visit()).status).toBe(200);
  expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded' });
  await waitFor(() => cloud.reported()?.conditions?.some((c) => c.code === 'STORE_DEGRADED'));
  const rev = gen * 10;
  await cloud.desired(rev, []);
  await waitFor(() => cloud.reported()?.bad?.rev === rev, { what: 'the document is refused' });
  expect(cloud.reported()?.bad?.code).toBe('STORE_FAILED');
  expect((await device.visit()).status).toBe(200);
};

/** A power cut: neither the daemon nor a tunnel is left. */
const cutPower = async (device: Device): Promise<void> => {
  const { tunnels } = await device.status();
  await device.kill('SIGKILL');
  for (const { pid } of tunnels) {
    process.kill(pid, 'SIGKILL');
    await waitFor(() => !isAlive(pid));
  }
};

const reason = whyNoDisk();
if (reason !== null) process.stderr.write(`skipped: the disk of the state folder; ${reason}\n`);

test.skipIf(reason !== null)(
  'a full and a read-only disk cost no traffic, what must be kept is refused, all is well again by itself; a start on a full disk serves',
  async () => {
    const device = await startDevice({ start: false, brokerUrl: (await faultBroker()).url });
    const { cloud } = device;
    const disk = await mountSmallDisk(device);
    await device.start();
    // A disk with open files cannot be asked to become read-only, as a broken one does; those of a tunnel lie here.
    await disk.mountRunDir();
    await cloud.desired(1, [{ ...WEB, on: true }]);
    await waitFor(() => cloud.reported()?.applied === 1, { what: 'the document is applied' });
    for (const gen of [2, 3]) await device.fault({ op: 'token', authtoken: `token-${gen}` });

    await disk.fill();
    await checkOnBadDisk(device, 2, 'no space is left');
    await disk.makeRoom();
    await sound(device, 'there is room again');
    expect(await cloud.rekey('token-2', 2)).toMatchObject({ status: 'succeeded', out: { gen: 2 } });

    await disk.remount('ro');
    await checkOnBadDisk(device, 3, 'read-only');
    // What was stopped stays so: a start that is refused opens nothing.
    expect(await cloud.command('stop', { args: { ep: 'web' } })).toMatchObject({ status: 'succeeded' });
    expect(await cloud.command('start', { args: { ep: 'web' } })).toMatchObject({
      status: 'failed',
      code: 'STORE_FAILED',
    });
    expect(stateOf(await device.status())).toBe('down');
    expect((await device.visit()).status).toBe(404);
    await disk.remount('rw');
    await sound(device, 'the disk can be written again');
    expect(await cloud.rekey('token-3', 3)).toMatchObject({ status: 'succeeded', out: { gen: 3 } });
    expect(cloud.events().filter((e) => e.type === 'store.degraded')).toHaveLength(2);
    await cloud.desired(40, [{ ...WEB, on: true }]);
    await waitFor(() => cloud.reported()?.applied === 40, { what: 'the next document is applied' });

    await cutPower(device);
    await disk.unmountRunDir();
    await disk.fill();
    device.spawn();
    const full = await device.until((s) => stateOf(s) === 'up' && degraded(s), 'web is up on a full disk');
    expect(full).toMatchObject({ credential: { generation: 3, state: 'ok' }, desired: { rev: 40 } });
    expect((await device.visit()).status).toBe(200);
    await waitFor(() => cloud.events().filter((e) => e.type === 'store.degraded').length === 3);
    expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded' });
    await disk.makeRoom();
    await sound(device, 'there is room after the start');
    await waitFor(async () => (await device.tunnelPids()).length === 1, { what: 'the note of the tunnel' });

    await cutPower(device);
    await disk.remount('ro');
    const { code, stderr } = await device.spawn().exit;
    expect(code).toBe(73);
    expect(stderr.split('\n')[0]).toContain(`${device.stateDir} cannot be used`);
    expect(stderr.split('\n')[0]).toContain('read-only');
  },
);
