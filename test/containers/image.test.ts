/** The image as it is run: read-only, by a user without rights, with folders mounted. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StartedTestContainer } from 'testcontainers';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import type { StatusSeen } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Bench, startBench } from './support/bench.ts';
import { inside, LockkeeperContainer, mustRun } from './support/docker.ts';
import { LOCKKEEPER_IMAGE, run } from './support/images.ts';

const status = async (container: StartedTestContainer): Promise<StatusSeen & { readonly uptimeS: number }> =>
  JSON.parse(await mustRun(container, 'lockkeeper', 'status', '--json')) as StatusSeen & {
    readonly uptimeS: number;
  };

const isUp = async (container: StartedTestContainer): Promise<boolean> => {
  const { code, output } = await inside(container, 'lockkeeper', 'status', '--json');
  if (code !== 0) return false;
  return (JSON.parse(output) as StatusSeen).endpoints.every(({ state }) => state === 'up');
};

const startDevice = async (): Promise<{ readonly bench: Bench; readonly device: StartedTestContainer }> => {
  const bench = await startBench();
  onTestFinished(() => bench.end());
  const device = await new LockkeeperContainer(await bench.folder()).start();
  onTestFinished(async () => {
    await device.stop();
  });
  await waitFor(() => isUp(device), { what: 'the endpoint is up', deadlineMs: 45_000, everyMs: 200 });
  return { bench, device };
};

describe.skipIf(inject('noDocker') !== '')('the image', () => {
  test('serves without rights on a read-only root; a reload keeps container and tunnel; a stop drains', async () => {
    const { bench, device } = await startDevice();
    expect((await bench.visit()).status).toBe(200);
    expect((await device.exec(['id', '-u'])).output.trim()).toBe('10001');
    expect((await device.exec(['touch', '/usr/lib/lockkeeper/x'])).output).toContain('Read-only file system');

    const [health] = JSON.parse(
      await run('docker', 'inspect', '--format', '[{{json .Config.Healthcheck.Test}}]', device.getId()),
    ) as readonly (readonly string[])[];
    expect(health?.[0]).toBe('CMD');
    expect((await device.exec([...(health?.slice(1) ?? [])])).exitCode).toBe(0);

    const before = await status(device);
    const visitors = bench.load(10);
    await waitFor(() => visitors.good() > 50);
    // Uptime is told in whole seconds: the old one's beginning must be told apart from the new one's.
    await waitFor(async () => (await status(device)).uptimeS >= 3, { what: 'some uptime' });
    const toldAt = Date.now();
    await run('docker', 'kill', '--signal=HUP', device.getId());
    const hasBegunAnew = async (): Promise<boolean> =>
      (await isUp(device)) && Date.now() - (await status(device)).uptimeS * 1000 > toldAt - 1000;
    await waitFor(hasBegunAnew, { what: 'the daemon has begun anew', deadlineMs: 45_000, everyMs: 200 });
    const count = visitors.good();
    await waitFor(() => visitors.good() > count + 50);
    expect((await visitors.stop()).bad).toEqual([]);
    const after = await status(device);
    expect(after.pid).toBe(1);
    expect(after.tunnels.map(({ pid }) => pid)).toEqual(before.tunnels.map(({ pid }) => pid));

    const slow = bench.visit('/slow/5000');
    await waitFor(async () => (await status(device)).endpoints.some(({ inFlight }) => inFlight > 0), {
      what: 'the request is in flight',
    });
    await run('docker', 'stop', '--time=30', device.getId());
    expect((await slow).status).toBe(200);
    expect(await run('docker', 'inspect', '--format', '{{.State.ExitCode}}', device.getId())).toBe('0\n');
  });

  test('a lock file that is mounted by itself is refused at the start, a configuration file is not', async () => {
    const bench = await startBench();
    onTestFinished(() => bench.end());
    const folder = await bench.folder();
    await writeFile(join(folder, 'lock'), '');
    const ended = await run(
      ...(['docker', 'run', '--rm', '--read-only', '--network=none'] as const),
      ...['config.json', 'edge-ca.pem', 'authtoken'].map(
        (name) => `--volume=${join(folder, name)}:/etc/lockkeeper/${name}:ro`,
      ),
      `--volume=${join(folder, 'lock')}:/var/lib/lockkeeper/lock`,
      '--entrypoint=/bin/sh',
      LOCKKEEPER_IMAGE,
      '-c',
      '/usr/bin/lockkeeperd --config /etc/lockkeeper/config.json 2>&1 || echo "ended with $?"',
    );
    expect(ended).toContain('/var/lib/lockkeeper/lock is a mount of its own');
    expect(ended).toContain('ended with 73');
  });

  test('architectures without a Node of their own are refused with a sentence', async () => {
    await expect(run(process.execPath, 'packaging/deb.ts', '--arch', 'arm')).rejects.toThrow(
      'There is no package for arm: Node has no build for 32-bit ARM any more',
    );
  });
});
