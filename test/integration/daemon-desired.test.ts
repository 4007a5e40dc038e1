import { expect, test } from 'vitest';
import { startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

const web = (more: object = {}) => ({
  name: 'web',
  on: true,
  proto: 'http',
  upstream: 'hmi',
  url: 'https://device-1.edge.test',
  ...more,
});

test('a document opens its endpoints, is reported as applied, and an older one changes nothing', async () => {
  const { cloud, visit, until } = await startDevice();
  await cloud.desired(5, [web(), web({ name: 'more', url: 'https://more.edge.test' })]);
  await waitFor(() => cloud.reported()?.applied === 5);
  expect(cloud.reported()).toMatchObject({ rev: 5, applied: 5 });
  expect((await visit('/', 'more.edge.test')).status).toBe(200);

  await cloud.desired(4, []);
  expect(await cloud.command('ping')).toMatchObject({ out: { rev: 5 } });
  expect((await visit()).status).toBe(200);

  // Endpoints that the document no longer names fall back to the file's word; the others are gone.
  await cloud.desired(6, []);
  await waitFor(() => cloud.reported()?.applied === 6);
  const { endpoints } = await until((s) => stateOf(s) === 'down', 'web is down');
  expect(endpoints.map((e) => e.name)).toEqual(['web']);
  expect((await visit()).status).toBe(404);
  expect(cloud.events().find((e) => e.type === 'endpoint.down' && e.ep === 'web')?.cause).toMatch(/^desired/);
});

test('the same revision with another content is a conflict, and a cleared one changes nothing', async () => {
  const { cloud, status } = await startDevice();
  await cloud.desired(3, [web()]);
  await waitFor(() => cloud.reported()?.applied === 3);
  await cloud.desired(3, []);
  await waitFor(() => cloud.reported()?.bad?.code === 'REV_CONFLICT');
  expect(stateOf(await status())).toBe('up');
  await waitFor(() => cloud.events().some((e) => e.type === 'security.alert' && e.code === 'REV_CONFLICT'));
  await cloud.publish(cloud.topic('desired'), '', true);
  await waitFor(() => cloud.reported()?.bad?.code === 'DESIRED_CLEARED');
  expect(cloud.reported()).toMatchObject({ rev: 3, applied: 3 });
  expect(stateOf(await status())).toBe('up');
  await cloud.desired(4, [web()]);
  await waitFor(() => cloud.reported()?.applied === 4);
  expect(cloud.reported()?.bad).toBeUndefined();
});

test('one bad endpoint is denied and does not keep the good one from opening', async () => {
  const { cloud, visit } = await startDevice();
  await cloud.desired(1, [
    web(),
    web({ name: 'bad', upstream: 'http://10.0.0.5:502', url: 'https://bad.edge.test' }),
  ]);
  await waitFor(() => cloud.reported()?.endpoints.some((e) => e.name === 'web' && e.state === 'up'));
  await waitFor(() => cloud.reported()?.endpoints.some((e) => e.state === 'denied'));
  expect(cloud.reported()).toMatchObject({ rev: 1 });
  expect(cloud.reported()?.applied ?? 0).toBeLessThan(1);
  expect(cloud.reported()?.endpoints.find((e) => e.name === 'bad')).toMatchObject({
    state: 'denied',
    code: 'UPSTREAM_DENIED',
  });
  expect((await visit()).status).toBe(200);
  expect(await cloud.command('start', { args: { ep: 'bad' } })).toMatchObject({
    status: 'rejected',
    code: 'UPSTREAM_DENIED',
  });
  expect(cloud.events().find((e) => e.type === 'endpoint.denied')).toMatchObject({ ep: 'bad' });
});

test('an upstream by URL opens where the allow-list covers it', async () => {
  const device = await startDevice({ start: false });
  const url = `http://127.0.0.1:${device.upstreamPort}`;
  await device.writeConfig({ allowUpstreams: [url] });
  await device.start();
  await device.cloud.desired(1, [web({ upstream: url })]);
  await waitFor(() => device.cloud.reported()?.applied === 1);
  expect((await device.visit()).status).toBe(200);
});

test('a document is kept over a restart and works with the broker away', async () => {
  const device = await startDevice();
  await device.cloud.desired(2, [web()]);
  await waitFor(() => device.cloud.reported()?.applied === 2);
  await device.kill('SIGTERM');
  expect((await device.visit()).status).toBe(404);
  await device.fault({ op: 'broker', on: false });
  await device.start();
  await device.until((s) => stateOf(s) === 'up', 'web is up without the broker');
  expect((await device.visit()).status).toBe(200);
});

test('a document that redefines an open endpoint moves it to its new address', async () => {
  const { cloud, visit, status } = await startDevice();
  await cloud.desired(1, [web()]);
  await waitFor(() => cloud.reported()?.applied === 1);
  await cloud.desired(2, [web({ url: 'https://other.edge.test' })]);
  await waitFor(() => cloud.reported()?.applied === 2);
  expect((await visit('/', 'other.edge.test')).status).toBe(200);
  expect((await visit()).status).toBe(404);
  expect((await status()).endpoints).toHaveLength(1);
});

test('a document that wants a newer token makes the device ask for it', async () => {
  const { cloud } = await startDevice();
  await cloud.desired(1, [web()], { cred: { gen: 9 } });
  await waitFor(() => cloud.events().some((e) => e.type === 'cred.request'));
  await waitFor(() => cloud.reported()?.cred.want === 9);
  expect(cloud.reported()).toMatchObject({ rev: 1 });
  expect(cloud.reported()?.applied ?? 0).toBe(0);
});

test('an address with capital letters is taken in lower case and bound once', async () => {
  const { cloud, visit, status, sandbox } = await startDevice();
  await cloud.desired(1, [web({ url: 'https://Press-7.EDGE.test' })]);
  await waitFor(() => cloud.reported()?.applied === 1);
  const [endpoint] = (await status()).endpoints;
  expect(endpoint?.url).toMatch(/^https:\/\/press-7\.edge\.test/);
  for (const host of ['press-7.edge.test', 'PRESS-7.Edge.Test'])
    expect((await visit('/', host)).status).toBe(200);
  const [bound] = sandbox.state().endpoints;
  for (let i = 0; i < 5; i += 1) await cloud.command('resync');
  expect(sandbox.state().endpoints.map((e) => e.id)).toEqual([bound?.id]);
});
