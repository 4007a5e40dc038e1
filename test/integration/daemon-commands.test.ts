import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { ALWAYS_ON, startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

const ONE_AND_TWO = ['one', 'two'].map((name) => ({
  name,
  proto: 'http',
  upstream: 'hmi',
  url: `https://${name}.edge.test`,
}));

test('a start opens the endpoint with a lease, a second one moves its end, and a stop closes it', async () => {
  const { cloud, visit, until, status } = await startDevice();
  expect((await visit()).status).toBe(404);

  const started = await cloud.command('start', { args: { ep: 'web', lease_s: 600 } });
  expect(started).toMatchObject({
    status: 'succeeded',
    out: { url: expect.stringMatching(/^https:..device-1.edge.test/) },
  });
  expect(cloud.results(started.id).map((r) => [r.status, r.n])).toEqual([
    ['accepted', 1],
    ['executing', 2],
    ['succeeded', 3],
  ]);
  expect(await visit('/x')).toMatchObject({ status: 200, body: 'hello /x' });
  const { endpoints } = await status();
  expect(endpoints).toMatchObject([{ name: 'web', state: 'up', by: 'lease' }]);

  const longer = await cloud.command('start', { args: { ep: 'web', lease_s: 1200 } });
  expect(longer.status).toBe('succeeded');
  const moved = Number(longer.out?.['lease_end']) - Number(started.out?.['lease_end']);
  expect(moved).toBeGreaterThanOrEqual(599);
  await waitFor(() => cloud.reported()?.endpoints[0]?.lease_end === longer.out?.['lease_end']);

  expect(await cloud.command('stop', { args: { ep: 'web' } })).toMatchObject({ status: 'succeeded' });
  expect((await visit()).status).toBe(404);
  await until((s) => stateOf(s) === 'down', 'web is down');
  expect(await cloud.command('stop', { args: { ep: 'web' } })).toMatchObject({
    status: 'succeeded',
    out: { noop: true },
  });
  const types = cloud.events().map((e) => e.type);
  expect(types).toContain('endpoint.up');
  expect(cloud.events().find((e) => e.type === 'endpoint.down')).toMatchObject({
    ep: 'web',
    cause: /^command/,
  });
});

test('a star means every declared endpoint', async () => {
  const { cloud, status, visit } = await startDevice({
    config: {
      endpoints: ONE_AND_TWO,
    },
  });
  expect(await cloud.command('start', { args: { ep: '*' } })).toMatchObject({ status: 'succeeded' });
  expect((await status()).endpoints.map((e) => e.state)).toEqual(['up', 'up']);
  expect((await visit('/', 'two.edge.test')).status).toBe(200);
  expect(await cloud.command('stop', { args: { ep: '*' } })).toMatchObject({ status: 'succeeded' });
  expect((await status()).endpoints.map((e) => e.state)).toEqual(['down', 'down']);
});

test('a start without lease on an endpoint that is declared on and open changes nothing', async () => {
  const { cloud, until } = await startDevice({
    config: ALWAYS_ON,
  });
  await until((s) => stateOf(s) === 'up', 'web is up');
  expect(await cloud.command('start', { args: { ep: 'web' } })).toMatchObject({
    status: 'succeeded',
    out: { noop: true },
  });
});

test('restarts that come together make one new session, and no request is lost', async () => {
  const { cloud, status, load, sandbox } = await startDevice();
  await cloud.command('start', { args: { ep: 'web' } });
  const before = (await status()).tunnels[0]?.pid;
  const visitors = load(10);
  await waitFor(() => visitors.good() > 50);
  const ids = [await cloud.send('restart'), await cloud.send('restart')];
  const ends = await Promise.all(ids.map((id) => cloud.result(id)));
  expect(ends.map((end) => end.status)).toEqual(['succeeded', 'succeeded']);
  expect(ends.filter((end) => end.out?.['noop'] === true)).toHaveLength(1);
  const after = await status();
  expect(after.tunnels).toHaveLength(1);
  expect(after.tunnels[0]?.pid).not.toBe(before);
  expect(sandbox.state().sessions).toHaveLength(1);
  expect((await visitors.stop()).bad).toEqual([]);
});

test('a restart with an endpoint that the token may not open says so, and is over once the rest is served', async () => {
  const device = await startDevice({
    start: false,
    config: {
      endpoints: ONE_AND_TWO.map((endpoint) => ({ ...endpoint, on: true })),
    },
  });
  await device.fault({ op: 'token', authtoken: 'narrow-token', acl: ['bind:one.edge.test'] });
  await writeFile(device.tokenFile, 'narrow-token');
  await device.start();
  const { cloud, status } = device;
  const before = await device.until(
    ({ endpoints: [one, two] }) => one?.state === 'up' && two?.state === 'failed',
    'one is up and two is refused',
  );
  expect(await cloud.command('restart')).toMatchObject({ status: 'succeeded', out: { refused: 'two' } });
  const after = await status();
  expect(after.tunnels).toHaveLength(1);
  expect(after.tunnels[0]?.pid).not.toBe(before.tunnels[0]?.pid);
  expect(after.endpoints).toMatchObject([
    { name: 'one', state: 'up' },
    { name: 'two', state: 'failed', lastError: { code: 'NGROK_ACL_DENIED' } },
  ]);
  // What kept it shut is taken away at the edge, and a start opens it.
  await device.fault({ op: 'token', authtoken: 'narrow-token', acl: [] });
  expect(await cloud.command('start', { args: { ep: 'two' } })).toMatchObject({ status: 'succeeded' });
});

test('ping, report, resync and cancel answer', async () => {
  const { cloud } = await startDevice();
  const pong = await cloud.command('ping');
  expect(pong).toMatchObject({ status: 'succeeded', out: { clk: expect.any(String), rev: 0 } });
  expect(cloud.health()).toBeUndefined();
  expect(await cloud.command('report')).toMatchObject({ status: 'succeeded' });
  await waitFor(() => cloud.health());
  expect(cloud.health()).toMatchObject({ v: 1, n: 0, sys: { rss: expect.any(Number) } });
  expect(await cloud.command('resync')).toMatchObject({ status: 'succeeded' });
  expect(await cloud.command('cancel', { args: { id: pong.id } })).toMatchObject({
    status: 'succeeded',
    out: { noop: true },
  });
});

test('a cancel ends a start that waits for the edge', async () => {
  const { cloud, fault } = await startDevice();
  await fault({ op: 'refuse', on: true });
  await fault({ op: 'drop', how: 'rst' });
  const id = await cloud.send('start', { args: { ep: 'web' } });
  await waitFor(() => cloud.results(id).some((r) => r.status === 'executing'));
  expect(await cloud.command('cancel', { args: { id } })).toMatchObject({ status: 'succeeded' });
  expect(await cloud.result(id)).toMatchObject({ status: 'cancelled' });
});
