/** The archive for machines without Debian's packages: installed, installed again, removed. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import type { StatusSeen } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';
import { startBench } from './support/bench.ts';
import { inside, mustRun, systemdContainer } from './support/docker.ts';
import { BASE_IMAGE } from './support/images.ts';

describe.skipIf(inject('noDocker') !== '')('the install scripts', () => {
  test('install, upgrade what runs without a lost request, and remove all of it', async () => {
    const bench = await startBench();
    onTestFinished(() => bench.end());
    const dir = inject('packagesDir');
    const archive = (await readdir(dir)).find((name) => name.endsWith('.tar.gz'));
    const machine = await systemdContainer(BASE_IMAGE)
      .withCopyFilesToContainer([{ source: join(dir, archive ?? ''), target: '/root/lockkeeper.tar.gz' }])
      .start();
    onTestFinished(async () => {
      await machine.stop();
    });
    const sh = (script: string): Promise<string> => mustRun(machine, 'sh', '-c', script);
    const status = async (): Promise<StatusSeen | undefined> => {
      const { code, output } = await inside(machine, 'lockkeeper', 'status', '--json');
      return code === 0 ? (JSON.parse(output) as StatusSeen) : undefined;
    };
    const up = (isRight: (seen: StatusSeen) => boolean): Promise<StatusSeen> =>
      waitFor(
        async () => {
          const seen = await status();
          return seen?.endpoints.every(({ state }) => state === 'up') && isRight(seen) ? seen : undefined;
        },
        { what: 'the endpoint is up', deadlineMs: 45_000, everyMs: 100 },
      );

    await waitFor(
      async () => (await inside(machine, 'systemctl', 'is-system-running')).output.includes('running'),
      {
        what: 'systemd has started',
        deadlineMs: 30_000,
      },
    );
    await sh('mkdir /root/unpacked && tar -xzf /root/lockkeeper.tar.gz -C /root/unpacked');
    expect(await sh('/root/unpacked/install.sh')).toContain('Write /etc/lockkeeper/config.json');
    await machine.copyContentToContainer([...(await bench.files())]);
    await sh('systemctl start lockkeeper && echo "#mine" >>/etc/default/lockkeeper');
    const before = await up(() => true);

    const visitors = bench.load(10);
    await waitFor(() => visitors.good() > 50);
    await sh('/root/unpacked/install.sh');
    const after = await up(({ pid }) => pid !== before.pid);
    const count = visitors.good();
    await waitFor(() => visitors.good() > count + 50);
    expect((await visitors.stop()).bad).toEqual([]);
    expect(after.tunnels).toMatchObject([{ pid: before.tunnels[0]?.pid }]);
    expect(await sh('tail -n 1 /etc/default/lockkeeper')).toBe('#mine');

    await sh('/root/unpacked/uninstall.sh');
    expect((await bench.visit()).status).toBe(404);
    expect(await sh('ls /var/lib/lockkeeper')).toContain('device-key');
    await sh('/root/unpacked/uninstall.sh --purge');
    expect(await sh('find / -xdev -path /root -prune -o -name "*lockkeeper*" -print; true')).toBe('');
    expect((await inside(machine, 'getent', 'group', 'lockkeeper')).code).not.toBe(0);
  });
});
