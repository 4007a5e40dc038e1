import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

/** Ways in which a power cut leaves a file behind. */
const DAMAGES: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  empty: () => Buffer.alloc(0),
  halved: (bytes) => bytes.subarray(0, Math.floor(bytes.length / 2)),
  'full of NULs': (bytes) => Buffer.alloc(bytes.length),
};

for (const [what, damage] of Object.entries(DAMAGES)) {
  test(`any one file of the state folder that is ${what} is survived, and its other copy is used`, async () => {
    const device = await startDevice();
    const { cloud, stateDir } = device;
    await cloud.desired(3, [
      { name: 'web', on: true, proto: 'http', upstream: 'hmi', url: 'https://device-1.edge.test' },
    ]);
    await waitFor(() => cloud.reported()?.applied === 3);
    await device.fault({ op: 'token', authtoken: 'second-token' });
    expect(await cloud.rekey('second-token', 4)).toMatchObject({ status: 'succeeded' });
    await device.kill('SIGTERM');
    const names = (await readdir(stateDir)).filter((name) => !name.startsWith('lock'));
    const files: string[] = [];
    for (const name of names) if ((await stat(join(stateDir, name))).isFile()) files.push(name);
    expect(files.length).toBeGreaterThan(6);
    for (const name of files) {
      const path = join(stateDir, name);
      const good = await readFile(path).catch(() => null);
      if (good === null) continue;
      await writeFile(path, damage(good));
      await device.start();
      const status = await device.until((s) => stateOf(s) === 'up', `web is up with ${name} ${what}`);
      expect(status.credential, name).toMatchObject({ generation: 4, state: 'ok' });
      expect(status.desired.rev, name).toBe(3);
      expect((await device.visit()).status, name).toBe(200);
      if (/\.[01]\.json$/.test(name) && !damage(good).equals(good))
        expect(
          status.conditions.map((c) => c.code),
          name,
        ).toContain('SLOT_RECOVERED');
      await device.kill('SIGTERM');
      expect((await device.daemon().exit).code, name).toBe(0);
    }
    expect(cloud.events().some((e) => e.type === 'store.degraded' && e.code === 'SLOT_RECOVERED')).toBe(true);
    // What cannot be read is set aside for whoever wants to look.
    expect((await readdir(stateDir)).length).toBeGreaterThan(files.length);
  });
}
