import { expect, test } from 'vitest';
import { startDevice, stateOf } from '../support/device.ts';
import { sessionsOf } from '../support/swap-edge.ts';
import { waitFor } from '../support/wait-for.ts';

const endpoint = (name: string, on: boolean) => ({
  name,
  proto: 'http',
  upstream: 'hmi',
  url: `https://${name === 'web' ? 'device-1' : name}.edge.test`,
  on,
});

const TERMINAL = new Set(['succeeded', 'failed', 'rejected', 'cancelled', 'superseded']);

test('rekeys that meet each other, a lost session and a coming and going of endpoints end one by one and lose nobody', async () => {
  const device = await startDevice({
    config: { endpoints: [endpoint('web', true), endpoint('second', false)] },
  });
  const { cloud, sandbox } = device;
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  for (const token of ['token-2', 'token-3', 'token-4', 'token-5'])
    await device.fault({ op: 'token', authtoken: token, name: token });

  const visitors = device.load(4);
  // Two tokens claim one generation, a third one comes with the next.
  const ids = [
    await cloud.sendRekey('token-2', 2),
    await cloud.sendRekey('token-4', 2),
    await cloud.sendRekey('token-3', 3),
  ];
  const [first, rival, newer] = await Promise.all(ids.map((id) => cloud.result(id, 60_000)));
  expect(first).toMatchObject({ status: 'succeeded', out: { gen: 2, dropped: 0, gap_ms: 0 } });
  expect(rival).toMatchObject({ status: 'rejected', code: 'GEN_STALE' });
  expect(newer).toMatchObject({ status: 'succeeded', out: { gen: 3, dropped: 0, gap_ms: 0 } });
  for (const id of ids)
    expect(cloud.results(id).filter(({ status }) => TERMINAL.has(status))).toHaveLength(1);

  // Endpoints open and close while the token changes.
  const swap = cloud.sendRekey('token-4', 4);
  const opened = await cloud.command('start', { args: { ep: 'second' } });
  expect(opened.status).toBe('succeeded');
  expect((await cloud.command('stop', { args: { ep: 'second' } })).status).toBe('succeeded');
  expect(await cloud.result(await swap, 60_000)).toMatchObject({ status: 'succeeded', out: { dropped: 0 } });
  expect((await visitors.stop()).bad).toEqual([]);
  await waitFor(() => sandbox.state().sessions.length === 1);
  expect(sandbox.state().endpoints.map(({ url }) => new URL(url).hostname)).toEqual(['device-1.edge.test']);

  // The session is lost, and the new token comes before it is back.
  await device.fault({ op: 'refuse', on: true });
  await device.fault({ op: 'drop', how: 'rst' });
  await device.until((s) => s.session.state !== 'connected', 'the loss is seen');
  const late = await cloud.sendRekey('token-5', 5);
  await waitFor(() => cloud.results(late).some(({ status }) => status === 'executing'));
  await device.fault({ op: 'refuse', on: false });
  expect(await cloud.result(late, 60_000)).toMatchObject({ status: 'succeeded', out: { gen: 5 } });
  await waitFor(async () => (await device.visit()).status === 200);
  await waitFor(() => sessionsOf(sandbox) === 'token-5');
});
