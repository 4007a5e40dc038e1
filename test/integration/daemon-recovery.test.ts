import { expect, test } from 'vitest';
import { ALWAYS_ON, type Device, isAlive, startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

const isServed = async (device: Device): Promise<boolean> => (await device.visit()).status === 200;

const served = (device: Device, what: string, deadlineMs = 20_000): Promise<unknown> =>
  waitFor(() => isServed(device), { what, deadlineMs });

test('a tunnel process that is killed five times in a row is replaced each time', async () => {
  const device = await startDevice({ config: ALWAYS_ON });
  await served(device, 'the first service');
  for (let i = 0; i < 5; i += 1) {
    const [pid] = await device.tunnelPids();
    if (pid === undefined) throw new Error('no tunnel process');
    process.kill(pid, 'SIGKILL');
    await waitFor(() => !isAlive(pid));
    await waitFor(async () => (await device.tunnelPids()).some((other) => other !== pid));
    await served(device, `service after kill ${i + 1}`);
  }
  const { session } = await device.until((s) => s.session.state === 'connected', 'the session is up');
  expect(session.reconnects).toBeGreaterThanOrEqual(5);
  const lost = device.cloud.events().filter((e) => e.type === 'session.lost');
  expect(lost.some((e) => e.code === 'TUNNEL_CRASHED')).toBe(true);
});

test('a daemon that is killed costs no request, and the next one adopts the tunnel', async () => {
  const device = await startDevice({ config: ALWAYS_ON });
  await served(device, 'the first service');
  const before = await device.tunnelPids();
  const visitors = device.load(5);
  await device.kill('SIGKILL');
  await device.start();
  const status = await device.until((s) => stateOf(s) === 'up' && s.session.state === 'connected', 'adopted');
  expect(status.tunnels.map((t) => t.pid)).toEqual(before);
  const count = visitors.good();
  await waitFor(() => visitors.good() > count + 20);
  expect((await visitors.stop()).bad).toEqual([]);
  // It is held, not only found: a stop closes it.
  expect(await device.cloud.command('stop', { args: { ep: 'web' } })).toMatchObject({ status: 'succeeded' });
  expect(await isServed(device)).toBe(false);
});

for (const how of ['fin', 'rst'] as const) {
  test(`a session that the edge cuts with ${how} comes back with its address`, async () => {
    const device = await startDevice({ config: ALWAYS_ON });
    await served(device, 'the first service');
    await device.fault({ op: 'drop', how });
    await served(device, 'service after the cut');
    await device.until((s) => s.session.state === 'connected' && stateOf(s) === 'up', 'the session is up');
  });
}

test('an edge that refuses for a while is served again soon after it listens', async () => {
  const device = await startDevice({ config: ALWAYS_ON });
  await served(device, 'the first service');
  await device.fault({ op: 'refuse', on: true });
  await device.fault({ op: 'drop', how: 'fin' });
  const down = await device.until((s) => s.session.state === 'down', 'the session is down');
  expect(stateOf(down)).toBe('opening');
  await device.until((s) => s.conditions.some((c) => c.code === 'EDGE_UNREACHABLE'), 'the condition stands');
  await device.fault({ op: 'refuse', on: false });
  await served(device, 'service after the outage');
  await device.until((s) => s.session.reconnects === 1, 'the new session counts');
  await device.until(
    (s) => s.conditions.every((c) => c.code !== 'EDGE_UNREACHABLE'),
    'the condition is gone',
  );
  await waitFor(() => device.cloud.events().filter((e) => e.type === 'session.up').length >= 2);
});

test('an edge that goes silent is noticed, and service returns when the path heals', async () => {
  const device = await startDevice({
    start: false,
  });
  const { line } = device.sandbox;
  await device.writeConfig({
    ...ALWAYS_ON,
    ngrok: {
      authtokenFile: device.tokenFile,
      serverAddr: line.edge.addr,
      caFile: line.caFile,
      heartbeatIntervalS: 2,
      heartbeatToleranceS: 2,
    },
  });
  await device.start();
  await served(device, 'the first service');
  await device.fault({ op: 'silence', on: true });
  await device.until((s) => s.session.state !== 'connected', 'the silence is noticed', 40_000);
  expect((await device.tunnelPids()).length).toBeLessThanOrEqual(2);
  await device.fault({ op: 'silence', on: false });
  await served(device, 'service after the silence', 30_000);
});

test('a broker that goes away costs nothing, and what happened meanwhile is told afterwards', async () => {
  const device = await startDevice();
  const { cloud } = device;
  await cloud.command('start', { args: { ep: 'web', lease_s: 60 } });
  const birth = Number(cloud.presence()?.n);
  await device.fault({ op: 'broker', on: false });
  await device.until((s) => s.link.state !== 'connected', 'the link is down');
  expect(await isServed(device)).toBe(true);
  expect(stateOf(await device.status())).toBe('up');
  const [pid] = await device.tunnelPids();
  if (pid === undefined) throw new Error('no tunnel process');
  process.kill(pid, 'SIGKILL');
  await device.until((s) => s.session.reconnects >= 1 && stateOf(s) === 'up', 'the session is back');
  const away = await device.until((s) => s.conditions.some((c) => c.code === 'BROKER_NET'), 'the condition');
  expect(away.conditions.find((c) => c.code === 'BROKER_NET')).toMatchObject({ severity: 'warning' });
  expect(away.link.lastError).toMatchObject({ code: 'BROKER_NET' });
  const heard = cloud.messages().length;
  await device.fault({ op: 'broker', on: true });
  const back = await device.until((s) => s.link.state === 'connected', 'the link is back', 60_000);
  expect(back.link.lastError).toBeNull();
  expect(back.conditions.map((c) => c.code)).toEqual(['BROKER_MODE']);
  await waitFor(() => cloud.events().some((e) => e.type === 'session.lost'));
  await waitFor(() => cloud.presence()?.online === true && Number(cloud.presence()?.n) > birth);
  await waitFor(() => cloud.events().some((e) => e.type === 'condition.cleared' && e.code === 'BROKER_NET'));
  const changes = cloud.events().filter((e) => e.code === 'BROKER_NET');
  expect(changes.map((e) => e.type)).toEqual(['condition.set', 'condition.cleared']);
  // Birth, then the report, which knows that the outage is over, then what happened meanwhile.
  const fresh = cloud
    .messages()
    .slice(heard)
    .filter(({ retain }) => !retain);
  const kinds = fresh.map(({ topic }) => topic.split('/')[4]);
  expect(kinds.slice(0, 3)).toEqual(['presence', 'reported', 'event']);
  const reports = fresh.filter(({ topic }) => topic.endsWith('/reported'));
  expect(reports.some(({ text }) => text.includes('BROKER_NET'))).toBe(false);
});

test('a token that is revoked is told once, asked for once, and a new one brings the device back', async () => {
  const device = await startDevice({ config: ALWAYS_ON });
  const { cloud, sandbox } = device;
  await served(device, 'the first service');
  const [token] = [sandbox.authtokens['default'] ?? ''];
  await device.fault({ op: 'revoke', authtoken: token });
  const { session } = await device.until(
    (s) => s.session.state === 'auth-failed',
    'the refusal is seen',
    30_000,
  );
  expect(session.lastError).toMatchObject({ code: 'NGROK_AUTH_REFUSED', ngrokCode: 'ERR_NGROK_107' });
  await waitFor(() => cloud.reported()?.session.state === 'auth-failed');
  expect(cloud.reported()?.cred.state).toBe('refused');
  await waitFor(() => cloud.events().some((e) => e.type === 'cred.request'));
  await device.fault({ op: 'token', authtoken: 'second-token' });
  expect(await cloud.rekey('second-token', 2)).toMatchObject({ status: 'succeeded', out: { gen: 2 } });
  await served(device, 'service on the new token');
  const refused = cloud.events().filter((e) => e.type === 'cred.refused');
  expect(refused).toHaveLength(1);
  expect(refused[0]).toMatchObject({ code: 'NGROK_AUTH_REFUSED', data: { ngrokCode: 'ERR_NGROK_107' } });
  expect(cloud.events().filter((e) => e.type === 'cred.request')).toHaveLength(1);
});
