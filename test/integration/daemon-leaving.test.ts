import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ALWAYS_ON, isAlive, startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

test('SIGTERM finishes what is in flight, says goodbye, and leaves no process', async () => {
  const device = await startDevice({ config: ALWAYS_ON });
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  const pids = await device.tunnelPids();
  const slow = device.visit('/slow/2500');
  await device.until((s) => s.endpoints.some((e) => e.inFlight > 0), 'the slow request is in flight');
  device.daemon().kill('SIGTERM');
  expect(await slow).toMatchObject({ status: 200, body: 'slow' });
  expect((await device.daemon().exit).code).toBe(0);
  expect(pids.filter(isAlive)).toEqual([]);
  await waitFor(() => device.cloud.presence()?.online === false);
  expect(device.cloud.presence()).toMatchObject({ why: 'shutdown' });
  expect((await device.visit()).status).toBe(404);
});

test('SIGTERM does not wait for a request beyond the deadline', async () => {
  const device = await startDevice({ config: { ...ALWAYS_ON, drain: { deadlineS: 2 } } });
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  const endless = device.visit('/slow/50000');
  await device.until((s) => s.endpoints.some((e) => e.inFlight > 0), 'the endless request is in flight');
  device.daemon().kill('SIGTERM');
  expect((await device.daemon().exit).code).toBe(0);
  expect((await endless).status).not.toBe(200);
});

test('SIGHUP hands the tunnel to a new daemon without losing a request', async () => {
  const device = await startDevice({ config: ALWAYS_ON });
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  const before = await device.status();
  const birth = device.cloud.presence();
  const visitors = device.load(10, (client) => (client === 0 ? '/slow/1500' : '/load'));
  await waitFor(() => visitors.good() > 50);
  device.daemon().kill('SIGHUP');
  const after = await device.until(
    (s) => s.pid !== before.pid && s.link.state === 'connected',
    'the new daemon',
  );
  await device.until((s) => stateOf(s) === 'up', 'web is up at the new daemon');
  expect(after.tunnels.map((t) => t.pid)).toEqual(before.tunnels.map((t) => t.pid));
  const count = visitors.good();
  await waitFor(() => visitors.good() > count + 50);
  expect((await visitors.stop()).bad).toEqual([]);
  await waitFor(
    () => device.cloud.presence()?.online === true && device.cloud.presence()?.boot !== birth?.boot,
  );
  expect(device.sandbox.broker.clientIds).toContain('device-1');
  expect(await device.cloud.command('ping')).toMatchObject({ status: 'succeeded' });
  // The new one is the whole daemon: it ends as the first one would.
  await device.kill('SIGTERM');
  expect((await device.tunnelPids()).filter(isAlive)).toEqual([]);
});

test('a reload with a broken configuration changes nothing', async () => {
  const device = await startDevice({ config: ALWAYS_ON });
  const before = await device.status();
  await writeFile(device.configFile, '{"device":');
  device.daemon().kill('SIGHUP');
  await waitFor(() => device.log().includes('reload refused'));
  expect((await device.status()).pid).toBe(before.pid);
});

test('the lock closes everything and refuses commands until it is taken away', async () => {
  const device = await startDevice();
  const { cloud } = device;
  await cloud.command('start', { args: { ep: 'web', lease_s: 600 } });
  expect(await device.post('/v1/lock')).toBe(200);
  await device.until((s) => s.locked && s.session.state === 'stopped' && s.tunnels.length === 0, 'locked');
  expect((await device.visit()).status).toBe(404);
  expect(device.sandbox.state().sessions).toEqual([]);
  for (const [op, args] of [
    ['start', { ep: 'web' }],
    ['stop', { ep: 'web' }],
    ['restart', undefined],
  ] as const)
    expect(await cloud.command(op, args === undefined ? {} : { args })).toMatchObject({
      status: 'rejected',
      code: 'LOCKED',
    });
  expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded' });
  expect(await cloud.command('report')).toMatchObject({ status: 'succeeded' });
  await waitFor(() => cloud.reported()?.locked === true);
  expect(cloud.reported()?.conditions?.map((c) => c.code)).toContain('LOCKED');
  await waitFor(() => cloud.events().some((e) => e.type === 'endpoint.down' && e.cause?.startsWith('lock')));

  await device.kill('SIGTERM');
  await device.start();
  expect((await device.status()).locked).toBe(true);
  expect((await device.status()).session.state).toBe('stopped');
  expect(await device.post('/v1/unlock')).toBe(200);
  await device.until((s) => !s.locked && stateOf(s) === 'up', 'the lease goes on after the unlock');
  expect((await device.visit()).status).toBe(200);
});

test('a lock file that appears by hand counts, and so does its removal', async () => {
  const device = await startDevice({ config: ALWAYS_ON });
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  const lock = join(device.stateDir, 'lock');
  await writeFile(lock, '');
  await device.until((s) => s.locked && s.tunnels.length === 0, 'locked');
  await rm(lock);
  await device.until((s) => !s.locked && stateOf(s) === 'up', 'unlocked');
});

test("of the commands from ngrok's side a restart swaps the session, a stop parks the device until a command of ours, an update is refused with the reason", async () => {
  const device = await startDevice({ config: ALWAYS_ON });
  const { cloud, sandbox } = device;
  const { url, key } = sandbox.line.api;
  const sessionId = (): string => sandbox.edge.sessions.keys().next().value ?? '';
  const order = async (op: 'stop' | 'restart' | 'update'): Promise<Response> =>
    fetch(`${url}/tunnel_sessions/${sessionId()}/${op}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'ngrok-version': '2', 'content-type': 'application/json' },
      body: '{}',
    });
  await device.until((s) => stateOf(s) === 'up', 'web is up');

  const refused = await order('update');
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({ error_code: 'ERR_NGROK_806' });

  const first = sessionId();
  expect((await order('restart')).status).toBe(204);
  await device.until(
    (s) =>
      s.session.state === 'connected' &&
      sandbox.edge.sessions.size === 1 &&
      !sandbox.edge.sessions.has(first),
    'another session',
  );
  await device.until((s) => stateOf(s) === 'up', 'web is up again');
  expect((await order('stop')).status).toBe(204);
  await device.until(
    (s) => s.session.state === 'stopped' && s.conditions.some((c) => c.code === 'PARKED'),
    'parked',
  );
  expect(sandbox.edge.sessions.size).toBe(0);
  await device.kill('SIGTERM');
  await device.start();
  expect((await device.status()).session.state).toBe('stopped');
  expect(await cloud.command('start', { args: { ep: 'web' } })).toMatchObject({ status: 'succeeded' });
  expect((await device.visit()).status).toBe(200);
});
