import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

const CANARY = 'canary-first-token-0123456789';
const SECOND = 'canary-second-token-0123456789';
const REFUSED = 'canary-refused-token-0123456789';

const filesUnder = async (dir: string): Promise<readonly string[]> => {
  const all = await readdir(dir, { recursive: true, withFileTypes: true });
  return all.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
};

test('an authtoken is seen in no log, argument, environment, message, status, nor file but the vault', async () => {
  const device = await startDevice({
    sandbox: { tokens: { default: CANARY } },
    config: {
      endpoints: [
        { name: 'web', proto: 'http', upstream: 'hmi', url: 'https://device-1.edge.test', on: true },
      ],
      log: { level: 'trace' },
    },
  });
  const { cloud } = device;
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  await device.fault({ op: 'token', authtoken: SECOND });
  expect(await cloud.rekey(REFUSED, 2)).toMatchObject({ status: 'failed' });
  expect(await cloud.rekey(SECOND, 3)).toMatchObject({ status: 'succeeded' });
  expect(await cloud.command('rekey', { args: { gen: 4, authtoken: SECOND } })).toMatchObject({
    status: 'rejected',
  });
  await device.fault({ op: 'revoke', authtoken: SECOND });
  await waitFor(() => cloud.events().some((e) => e.type === 'cred.refused'));
  await device.until(
    (s) => s.session.generation === 1 && stateOf(s) === 'up',
    'back on the first token',
    30_000,
  );

  const status = await device.status();
  const pids = [status.pid, ...status.tunnels.map((t) => t.pid)];
  expect(pids.length).toBeGreaterThan(1);
  const places: [string, string][] = [
    ['log', device.log()],
    ['status', JSON.stringify(status)],
    ...cloud
      .messages()
      .filter(({ topic }) => !topic.includes('/cmd/'))
      .map(({ topic, text }): [string, string] => [topic, text]),
  ];
  for (const pid of pids)
    for (const name of ['cmdline', 'environ'])
      places.push([`${name} of ${pid}`, await readFile(`/proc/${pid}/${name}`, 'latin1')]);
  for (const file of await filesUnder(device.stateDir))
    if (!/\/vault\.\d\.json$/.test(file)) places.push([file, await readFile(file, 'latin1')]);
  expect(places.length).toBeGreaterThan(15);
  for (const [place, text] of places)
    for (const secret of [CANARY, SECOND, REFUSED])
      expect(text.includes(secret), `${secret} in ${place}`).toBe(false);
}, 90_000);
