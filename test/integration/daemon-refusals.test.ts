import { expect, test } from 'vitest';
import { startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

const SEALED = `${'a'.repeat(100)}..${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(22)}`;

test('what cannot be done is rejected with a stable code and a sentence', async () => {
  const { cloud } = await startDevice();
  const cases = [
    ['start', { args: { ep: 'nope' } }, 'UNKNOWN_EP'],
    ['start', { args: { ep: 'web', lease_s: 5 } }, 'BAD_ARGS'],
    ['start', { args: { ep: 'web', upstream: 'http://127.0.0.1:1' } }, 'BAD_ARGS'],
    ['start', {}, 'BAD_ARGS'],
    ['explode', {}, 'UNKNOWN_OP'],
    ['rekey', { args: { gen: 2, authtoken: 'a-bare-token' } }, 'BAD_ARGS'],
    ['rekey', { args: { gen: 2, sealed: SEALED, authtoken: 'a-bare-token' } }, 'BAD_ARGS'],
    ['ping', { iat: 600, exp: 700 }, 'NOT_YET_VALID'],
  ] as const;
  for (const [op, more, code] of cases) {
    const end = await cloud.command(op, more);
    expect(end, `${op} ${JSON.stringify(more)}`).toMatchObject({ status: 'rejected', code });
    expect(end.msg?.length).toBeGreaterThan(10);
    expect(JSON.stringify(end)).not.toContain('a-bare-token');
  }
  expect(await cloud.command('ping', { iat: -600, exp: -500 })).toMatchObject({ status: 'expired' });
  expect(await cloud.command('rekey', { args: { gen: 2, sealed: SEALED } })).toMatchObject({
    status: 'failed',
    code: 'UNSEAL_FAILED',
  });
});

test('what is not a command at all gets no answer, is counted, and disturbs nobody', async () => {
  const { cloud } = await startDevice();
  const topic = cloud.topic('cmd/ping');
  await cloud.publish(topic, Buffer.alloc(70_000, 0x7b));
  await cloud.publish(topic, Buffer.from([0xff, 0xfe, 0x7b]));
  await cloud.publish(topic, '{"v":1,"v":1}');
  await cloud.publish(topic, '['.repeat(5000));
  await cloud.publish(topic, '');
  expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded' });
  await cloud.command('report');
  const sec = await waitFor(() => cloud.health()?.['sec'] as Record<string, number> | undefined);
  expect(sec['too_big']).toBe(1);
  expect(sec['bad_json']).toBeGreaterThanOrEqual(3);
  expect(cloud.events().filter((e) => e.type === 'security.alert')).toHaveLength(1);
});

test('a retained command is dropped and counted, and nothing is opened', async () => {
  const device = await startDevice({ start: false });
  const { cloud } = device;
  const id = await cloud.send('start', { args: { ep: 'web' }, retain: true });
  await device.start();
  expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded' });
  await cloud.command('report');
  const sec = await waitFor(() => cloud.health()?.['sec'] as Record<string, number> | undefined);
  expect(Object.values(sec).reduce((sum, n) => sum + n, 0)).toBe(1);
  expect(cloud.results(id)).toEqual([]);
  expect(stateOf(await device.status())).toBe('down');
});

test('the same id gets the same answer for ever, also after the daemon was killed', async () => {
  const device = await startDevice();
  const { cloud } = device;
  const first = await cloud.command('start', { args: { ep: 'web', lease_s: 600 } });
  const seen = cloud.results(first.id).length;
  await cloud.send('start', { id: first.id, args: { ep: 'web', lease_s: 600 } });
  await waitFor(() => cloud.results(first.id).length > seen);
  expect(cloud.results(first.id).at(-1)).toMatchObject({ status: 'succeeded', dup: true, out: first.out });

  const refused = await cloud.command('start', { args: { ep: 'nope' } });
  await device.kill('SIGKILL');
  await device.start();
  for (const { id, status, code } of [first, refused]) {
    const before = cloud.results(id).length;
    await cloud.send('start', { id, args: { ep: 'web', lease_s: 600 }, exp: -1000, iat: -1010 });
    await waitFor(() => cloud.results(id).length > before);
    const again = cloud.results(id).at(-1);
    expect(again).toMatchObject({ status, dup: true });
    expect(again?.code).toBe(code);
  }
});

test('a flood is answered with a time to wait, and a stop still gets through', async () => {
  const { cloud, until } = await startDevice();
  await cloud.command('start', { args: { ep: 'web' } });
  const ids = await Promise.all(Array.from({ length: 40 }, () => cloud.send('ping')));
  const stop = await cloud.send('stop', { args: { ep: 'web' } });
  expect(await cloud.result(stop)).toMatchObject({ status: 'succeeded' });
  await until((s) => stateOf(s) === 'down', 'web is down');
  const ends = ids.flatMap((id) => cloud.results(id).slice(-1));
  const limited = ends.filter((end) => end.code === 'RATE_LIMITED');
  expect(limited.length).toBeGreaterThan(0);
  for (const end of limited) {
    expect(end.status).toBe('rejected');
    expect(end.retry_s).toBeGreaterThan(0);
  }
  // A command that was turned away for its rate may be sent again under its id.
  const [turnedAway] = limited;
  await waitFor(
    async () => {
      await cloud.send('ping', { id: turnedAway?.id ?? '' });
      return cloud.results(turnedAway?.id ?? '').some((r) => r.status === 'succeeded');
    },
    { everyMs: 1000 },
  );
});
