/** A broker that is not there at boot, and one that hands on what is far too large. */
import { expect, test } from 'vitest';
import { stateOf } from '../support/device.ts';
import { startOnMosquitto } from '../support/fault-broker.ts';
import { memoryOf } from '../support/fault-memory.ts';
import { waitFor } from '../support/wait-for.ts';

const MIB = 1024 * 1024;
/** What a daemon that kept the larger payload could not stay below; what it reads and lets go waits for the collector. */
const LARGE_BYTES = 160 * MIB;
const ROOM_BYTES = 112 * MIB;
const ENDPOINT = { proto: 'http', upstream: 'hmi' };

test('endpoints of file and document open without a broker, and all is told once it is there; ten megabytes are refused unread', async () => {
  const { broker, cloud, device } = await startOnMosquitto('4', {
    config: { endpoints: [{ ...ENDPOINT, name: 'web', url: 'https://device-1.edge.test', on: true }] },
  });
  const more = { ...ENDPOINT, name: 'more', url: 'https://more.edge.test', on: true };
  await cloud.desired(3, [more], { groups: ['lab'] });
  await waitFor(() => cloud.reported()?.applied === 3, { what: 'the document is applied' });
  await device.kill('SIGTERM');
  // It forgets what it kept for others: the device has to tell everything anew.
  await broker.stop('SIGKILL');
  const heard = cloud.messages().length;

  device.spawn();
  const alone = await device.until((s) => stateOf(s) === 'up' && stateOf(s, 'more') === 'up', 'both are up');
  expect(alone.link.state).not.toBe('connected');
  expect(alone.desired.rev).toBe(3);
  expect((await device.visit()).status).toBe(200);
  expect((await device.visit('/', 'more.edge.test')).status).toBe(200);

  await broker.start();
  await device.until((s) => s.link.state === 'connected', 'the link', 40_000);
  const news = () => cloud.messages().slice(heard);
  await waitFor(() => news().some(({ text }) => text.includes('"agent.start"')), { what: 'agent.start' });
  for (const leaf of ['presence', 'reported', 'hello'])
    await waitFor(() => news().some(({ topic }) => topic.endsWith(`/${leaf}`)), { what: leaf });
  // They did not wait for the link: they are older than its birth.
  const told = JSON.parse(news().find(({ topic }) => topic.endsWith('/reported'))?.text ?? '{}') as {
    readonly applied: number;
    readonly endpoints: readonly { readonly state: string; readonly since: number }[];
  };
  const birth = JSON.parse(news().find(({ topic }) => topic.endsWith('/presence'))?.text ?? '{}') as {
    readonly ts: number;
  };
  expect(told.applied).toBe(3);
  expect(told.endpoints.map(({ state }) => state)).toEqual(['up', 'up']);
  // Both are whole seconds, one of them rounded up.
  for (const { since } of told.endpoints) expect(since).toBeLessThanOrEqual(birth.ts + 1);
  expect(await cloud.command('stop', { args: { ep: 'more' } })).toMatchObject({ status: 'succeeded' });

  const { pid } = await device.status();
  const { now: before } = await memoryOf(pid);
  await cloud.publish(cloud.topic('cmd/ping'), Buffer.alloc(10 * MIB, 0x7b));
  await cloud.publish('lk1/sandbox/g/lab/cmd/ping', Buffer.alloc(LARGE_BYTES, 0x7b));
  expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded' });
  expect(await cloud.command('report')).toMatchObject({ status: 'succeeded' });
  const health = await waitFor(() => cloud.health(), { what: 'health' });
  expect(health['sec']).toEqual({ too_big: 2 });
  expect((await memoryOf(pid)).peak - before).toBeLessThan(ROOM_BYTES);
  const births = news().filter(
    ({ topic, text }) => topic.endsWith('/presence') && text.includes('"online":true'),
  );
  expect(births).toHaveLength(1);
});
