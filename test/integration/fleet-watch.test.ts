import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { startFleetWorld } from '../support/fleet-world.ts';
import { makeOperator } from '../support/operator.ts';
import { spawnNode } from '../support/spawn-node.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

interface Batch {
  readonly alerts: readonly {
    readonly device: string;
    readonly state: string;
    readonly was: string | null;
  }[];
}

const world = async (count: number) => {
  const fleet = await startFleetWorld();
  onTestFinished(() => fleet.close());
  const devices = await fleet.enroll(count);
  const operator = await makeOperator(fleet.sandbox.line.broker.url, 'broker');
  const dir = await tempDir('lockkeeper-alerts-');
  const file = join(dir, 'alerts');
  const alerts = async (): Promise<readonly string[]> =>
    (await readFile(file, 'utf8').catch(() => ''))
      .split('\n')
      .filter((line) => line !== '')
      .flatMap((line) => (JSON.parse(line) as Batch).alerts)
      .map(({ device, state }) => `${device} ${state}`);
  return { fleet, devices, operator, dir, file, alerts };
};

const hookServer = async () => {
  const bodies: Batch[] = [];
  let fails = 0;
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      if (fails > 0) {
        fails -= 1;
        response.writeHead(503).end();
        return;
      }
      bodies.push(JSON.parse(body) as Batch);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    bodies,
    failNext: (n: number) => {
      fails = n;
    },
  };
};

test('looked at once: 0 when all is well, 2 and one alert for all that is off line; the program sees no key', async () => {
  const { fleet, devices, operator, dir, file, alerts } = await world(3);
  const hook = await hookServer();
  hook.failNext(1);
  const once = (...args: string[]) =>
    operator.run(
      [
        'fleet',
        'watch',
        '--once',
        '--exec',
        `cat >> ${file}; echo >> ${file}; env > ${dir}/env`,
        '--webhook',
        hook.url,
        ...args,
      ],
      { env: { NGROK_API_KEY: '', LOCKKEEPER_SECRET: 'not-for-children' } },
    );
  const well = await once();
  expect([well.code, await alerts(), hook.bodies]).toEqual([0, [], []]);

  const [, second, third] = devices;
  for (const device of [second, third]) {
    if (device === undefined) throw new Error('too few devices');
    device.isOnline = false;
    await fleet.swarm.publish(device);
  }
  const bad = await once();
  expect(bad.code).toBe(2);
  expect(bad.stdout).toContain('OFFLINE');
  expect(await alerts()).toEqual(['dev-0002 offline', 'dev-0003 offline']);
  expect(hook.bodies.map(({ alerts: all }) => all.map(({ device }) => device))).toEqual([
    ['dev-0002', 'dev-0003'],
  ]);
  const env = await readFile(join(dir, 'env'), 'utf8');
  expect(env).toContain('LOCKKEEPER_ALERTS=2');
  expect(env).not.toMatch(/LOCKKEEPER_SECRET|NGROK|PROFILE/);
});

test('on line and silent is stuck, once somebody has listened', async () => {
  const { operator } = await world(1);
  const args = ['fleet', 'watch', '--once', '--health-interval', '1s'];
  const short = await operator.run(args);
  expect(short.code).toBe(0);
  const { code, body } = await operator.json([...args, '--listen', '4s']);
  expect([code, body['alarming']]).toEqual([2, ['dev-0001']]);
  expect(JSON.stringify(body)).toContain('"code":"SILENT"');
});

test('followed: a device that goes is told after its time, and so is its return', async () => {
  const { fleet, devices, operator, file, alerts } = await world(2);
  const watching = spawnNode(
    'src/lockkeeper.ts',
    ['fleet', 'watch', '--offline-after', '1s', '--every', '1s', '--exec', `cat >> ${file}; echo >> ${file}`],
    { env: { LOCKKEEPER_PROFILE: operator.profile, XDG_STATE_HOME: operator.dir, NGROK_API_KEY: '' } },
  );
  await watching.line(/dev-0002 {2}online/);
  const [one] = devices;
  if (one === undefined) throw new Error('no device');
  one.isOnline = false;
  await fleet.swarm.publish(one);
  await watching.line(/dev-0001 {2}offline .*OFFLINE/);
  await waitFor(async () => (await alerts()).length === 1);
  one.isOnline = true;
  await fleet.swarm.publish(one);
  await waitFor(async () => (await alerts()).length === 2);
  expect(await alerts()).toEqual(['dev-0001 offline', 'dev-0001 online']);
  const broker = (on: boolean) =>
    fetch(`${fleet.sandbox.line.control.url}/faults`, {
      method: 'POST',
      body: JSON.stringify({ op: 'broker', on }),
    });
  // While the broker is away nothing is said of the devices.
  await broker(false);
  await watching.line('The connection to the broker is lost');
  await broker(true);
  await watching.line('connected to the broker again');
  watching.kill('SIGINT');
  expect((await watching.exit).code).toBe(0);
  expect(await alerts()).toHaveLength(2);
});
