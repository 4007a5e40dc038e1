import { expect, test } from 'vitest';
import { startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

test('an endpoint that nobody uses is closed, and a start opens it again', async () => {
  const device = await startDevice({
    config: {
      endpoints: [
        {
          name: 'web',
          proto: 'http',
          upstream: 'hmi',
          url: 'https://device-1.edge.test',
          on: true,
          idleCloseS: 3,
        },
      ],
    },
  });
  const { cloud } = device;
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  expect((await device.visit()).status).toBe(200);
  await device.until((s) => stateOf(s) === 'down', 'web is closed');
  await waitFor(() => cloud.events().some((e) => e.type === 'endpoint.down' && e.cause?.startsWith('idle')));
  expect((await device.visit()).status).toBe(404);
  expect(await cloud.command('start', { args: { ep: 'web' } })).toMatchObject({ status: 'succeeded' });
  expect((await device.visit()).status).toBe(200);
  // In use it stays open, for longer than its idle time.
  const visitors = device.load(1, () => '/slow/300');
  await waitFor(() => visitors.good() >= 15);
  expect((await visitors.stop()).bad).toEqual([]);
  await device.until((s) => stateOf(s) === 'down', 'web is closed again');
});

test('an old will that comes after the new birth is answered with another birth', async () => {
  const { cloud } = await startDevice();
  const birth = await waitFor(() => (cloud.presence()?.online === true ? cloud.presence() : undefined));
  const stale = { v: 1, online: false, boot: birth.boot, n: birth.n - 1, why: 'lost' };
  await cloud.publish(cloud.topic('presence'), JSON.stringify(stale), true);
  const said = (): readonly string[] =>
    cloud
      .messages()
      .filter(({ topic }) => topic.endsWith('/presence'))
      .map(({ text }) => (text.includes('"online":true') ? 'online' : 'offline'));
  await waitFor(() => said().includes('offline') && said().at(-1) === 'online');
  expect(said()).toEqual(['online', 'offline', 'online']);
  expect(cloud.presence()).toMatchObject({ boot: birth.boot, n: birth.n });
});

test('a broker that has forgotten everything is told who the device is again', async () => {
  const device = await startDevice();
  const { cloud } = device;
  await waitFor(() => cloud.hello());
  const helloTopic = cloud.topic('hello');
  const hellos = (): number =>
    cloud.messages().filter(({ topic, text }) => topic === helloTopic && text !== '').length;
  const before = hellos();
  await cloud.publish(helloTopic, '', true);
  await cloud.command('report');
  await waitFor(() => hellos() > before);
});

test('an endpoint that is on opens in its window, stays shut outside it, and a start opens it all the same', async () => {
  const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
  const today = new Date().getUTCDay();
  const otherDay = days[(today + 3) % 7] ?? 'sun';
  const endpoint = { proto: 'http', upstream: 'hmi', on: true };
  const device = await startDevice({
    config: {
      endpoints: [
        { ...endpoint, name: 'web', url: 'https://device-1.edge.test', windows: ['daily 00:00-24:00 UTC'] },
        {
          ...endpoint,
          name: 'shut',
          url: 'https://shut.edge.test',
          windows: [`${otherDay} 10:00-11:00 UTC`],
        },
      ],
    },
  });
  const { cloud } = device;
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  expect(stateOf(await device.status(), 'shut')).toBe('down');
  expect(await cloud.command('start', { args: { ep: 'shut', lease_s: 60 } })).toMatchObject({
    status: 'succeeded',
  });
  expect((await device.visit('/', 'shut.edge.test')).status).toBe(200);
});
