import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Device, startDevice } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

interface Event {
  readonly type: string;
  readonly ep?: string;
  readonly boot: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

const web = { name: 'web', proto: 'http', upstream: 'hmi', url: 'https://device-1.edge.test', on: true };

const eventsOf = (device: Device): readonly Event[] =>
  device.cloud
    .messages()
    .filter(({ topic }) => topic.includes('/event/'))
    .map(({ text }) => JSON.parse(text) as Event);

const isUp = (device: Device): Promise<unknown> =>
  device.until(({ endpoints }) => endpoints[0]?.state === 'up', 'the endpoint is up');

test('with connEvents full each connection is told, with its visitor, bytes and duration', async () => {
  const device = await startDevice({ config: { endpoints: [web], report: { connEvents: 'full' } } });
  await isUp(device);
  const { status } = await device.visit('/hello');
  expect(status).toBe(200);
  const closed = await waitFor(() => eventsOf(device).find(({ type }) => type === 'conn.closed'), {
    what: 'conn.closed',
    // The SDK may keep the connection for a while.
    deadlineMs: 40_000,
  });
  const opened = eventsOf(device).find(({ type }) => type === 'conn.opened');
  expect(opened).toMatchObject({ ep: 'web', data: { client: '127.0.0.1' } });
  expect(closed).toMatchObject({
    ep: 'web',
    data: { client: '127.0.0.1', in: expect.any(Number), out: expect.any(Number), ms: expect.any(Number) },
  });
  expect(Number(closed.data?.['out'])).toBeGreaterThan('hello /hello'.length);
});

test('without it no visitor is in any message', async () => {
  const device = await startDevice({ config: { endpoints: [web], report: { healthS: 1 } } });
  await isUp(device);
  await device.visit('/a-path-of-the-visitor');
  await waitFor(
    () =>
      device.cloud
        .messages()
        .some(({ topic, text }) => topic.endsWith('/health') && text.includes('"req":1')),
    { what: 'a health message that counts the request' },
  );
  expect(eventsOf(device).filter(({ type }) => type.startsWith('conn.'))).toEqual([]);
  for (const { text } of device.cloud.messages()) {
    expect(text).not.toContain('a-path-of-the-visitor');
    expect(text).not.toContain('"client"');
  }
});

test('what happened while the broker was away arrives although the daemon was killed meanwhile', async () => {
  const device = await startDevice({ config: { endpoints: [web] } });
  await isUp(device);
  await device.fault({ op: 'broker', on: false });
  await device.until(({ link }) => link.state !== 'connected', 'the link is gone');
  await device.fault({ op: 'drop', how: 'rst' });
  await waitFor(async () => (await readFile(join(device.stateDir, 'outbox'), 'utf8')).includes('session.'), {
    what: 'the loss of the session is in the outbox on disk',
    deadlineMs: 30_000,
  });
  const before = eventsOf(device).length;
  await device.kill('SIGKILL');
  await device.fault({ op: 'broker', on: true });
  await device.start();
  const isEarlier = ({ type, boot }: Event): boolean =>
    type.startsWith('session.') && boot === eventsOf(device)[0]?.boot;
  await waitFor(() => eventsOf(device).slice(before).some(isEarlier), {
    what: 'the event of the earlier run',
  });
  await waitFor(
    async () => (await readFile(join(device.stateDir, 'outbox'), 'utf8').catch(() => '')) === '',
    { what: 'an empty outbox' },
  );
});
