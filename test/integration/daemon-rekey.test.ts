import { readFile, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { ALWAYS_ON, type StatusSeen, startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

const upDevice = async (more: object = {}) => {
  const device = await startDevice({ config: { ...ALWAYS_ON, ...more } });
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  await device.fault({ op: 'token', authtoken: 'second-token' });
  return device;
};

test('a rekey under fifty clients and slow answers loses no request', async () => {
  const device = await upDevice();
  const { cloud } = device;
  const visitors = device.load(50, (client) => (client % 10 === 0 ? '/slow/1500' : '/load'));
  await waitFor(() => visitors.good() > 200);
  const end = await cloud.rekey('second-token', 7);
  expect(end).toMatchObject({ status: 'succeeded', out: { gen: 7, dropped: 0, cut: 0, gap_ms: 0 } });
  expect(Number(end.out?.['served'])).toBeGreaterThan(0);
  const count = visitors.good();
  await waitFor(() => visitors.good() > count + 100);
  expect((await visitors.stop()).bad).toEqual([]);
  const status = await device.status();
  expect(status.credential).toMatchObject({ generation: 7, state: 'ok' });
  expect(device.sandbox.state().sessions).toHaveLength(1);
  await waitFor(() => cloud.events().some((e) => e.type === 'cred.swapped' && e.data?.['gen'] === 7));
  const swapping = () => cloud.events().filter((e) => e.code === 'SWAP_IN_PROGRESS');
  await waitFor(() => swapping().some((e) => e.type === 'condition.cleared'));
  expect(swapping().map((e) => e.type)).toEqual(['condition.set', 'condition.cleared']);
});

test('a token that the edge refuses is given up and the old session is never touched', async () => {
  const device = await upDevice();
  const { cloud, sandbox } = device;
  await device.fault({ op: 'token', authtoken: 'narrow-token', acl: ['bind:other.edge.test'] });
  const [session] = sandbox.state().sessions;
  const visitors = device.load(5);
  const cases = [
    ['never-registered', 'NGROK_AUTH_REFUSED'],
    ['narrow-token', 'NGROK_ACL_DENIED'],
  ] as const;
  for (const [token, code] of cases) {
    const end = await cloud.rekey(token, 5);
    expect(end).toMatchObject({ status: 'failed', code, out: { gen: 1 } });
    expect(end.out?.['ngrokCode']).toMatch(/^ERR_NGROK_\d+$/);
    expect(JSON.stringify(end)).not.toContain(token);
  }
  expect((await visitors.stop()).bad).toEqual([]);
  await waitFor(() => sandbox.state().sessions.length === 1);
  expect(sandbox.state().sessions[0]?.id).toBe(session?.id);
  // The device holds a good token: it does not ask for another.
  expect(cloud.events().filter((e) => e.type === 'cred.request')).toEqual([]);
  expect((await device.status()).credential).toMatchObject({ generation: 1, state: 'ok' });
});

test('an account without room for a second session gets the old one ended first, and the gap is told', async () => {
  const device = await upDevice();
  const { cloud, sandbox } = device;
  await device.fault({ op: 'token', authtoken: 'second-token', maxSessions: 0 });
  const id = await cloud.sendRekey('second-token', 2);
  // The account has room again once the session that held the last place is gone.
  await waitFor(() => sandbox.state().sessions.length === 0, {
    what: 'the end of the old session',
    deadlineMs: 30_000,
  });
  await device.fault({ op: 'token', authtoken: 'second-token' });
  const end = await cloud.result(id, 60_000);
  expect(end).toMatchObject({ status: 'succeeded', out: { gen: 2 } });
  expect(Number(end.out?.['gap_ms'])).toBeGreaterThan(0);
  expect((await device.visit()).status).toBe(200);
});

test('an account that stays full gets the old token back', async () => {
  const device = await upDevice();
  await device.fault({ op: 'token', authtoken: 'second-token', maxSessions: 0 });
  const { cloud } = device;
  const end = await cloud.result(await cloud.sendRekey('second-token', 2), 100_000);
  expect(end).toMatchObject({
    status: 'failed',
    code: 'NGROK_LIMIT',
    out: { gen: 1, ngrokCode: 'ERR_NGROK_108' },
  });
  await waitFor(async () => (await device.visit()).status === 200);
  expect((await device.status()).credential).toMatchObject({ generation: 1, state: 'ok' });
});

test('a generation that is not newer is refused, the same again changes nothing, the same token gets its number', async () => {
  const device = await upDevice();
  const { cloud, sandbox } = device;
  expect(await cloud.rekey('second-token', 4)).toMatchObject({ status: 'succeeded' });
  const [session] = sandbox.state().sessions;
  expect(await cloud.rekey('second-token', 4)).toMatchObject({ status: 'succeeded', out: { noop: true } });
  expect(await cloud.rekey('second-token', 9)).toMatchObject({ status: 'succeeded', out: { gen: 9 } });
  expect(await cloud.rekey('other-token', 9)).toMatchObject({ status: 'rejected', code: 'GEN_STALE' });
  expect(await cloud.rekey('other-token', 8)).toMatchObject({ status: 'rejected', code: 'GEN_STALE' });
  expect(sandbox.state().sessions.map((s) => s.id)).toEqual([session?.id]);
  expect((await device.status()).credential.generation).toBe(9);
});

test('a token file with another content is tried like a rekey', async () => {
  const device = await upDevice();
  const visitors = device.load(5);
  await writeFile(device.tokenFile, 'second-token\n');
  await waitFor(() => device.sandbox.state().sessions.length === 2, { what: 'two sessions' });
  await waitFor(() => device.sandbox.state().sessions.length === 1, { what: 'one session' });
  expect((await visitors.stop()).bad).toEqual([]);
  // A token that is no good changes nothing.
  await writeFile(device.tokenFile, 'never-registered\n');
  await waitFor(() => device.log().includes('rolled back'));
  expect((await device.visit()).status).toBe(200);
  const isRefused = (s: StatusSeen) => s.conditions.some((c) => c.code === 'TOKEN_FILE_REFUSED');
  const { conditions } = await device.until(isRefused, 'the technician sees that the token is no good');
  expect(JSON.stringify(conditions)).toContain('ERR_NGROK_105');
  expect(JSON.stringify(conditions)).not.toContain('never-registered');
  const event = await waitFor(() => device.cloud.events().find((e) => e.type === 'cred.refused'));
  expect(event.data).toEqual({ fp: expect.any(String), ngrokCode: 'ERR_NGROK_105' });
  // A restart knows it still, without trying it again.
  await device.kill('SIGTERM');
  await device.start();
  await device.until((s) => isRefused(s) && stateOf(s) === 'up', 'the condition stands over a restart');
  await device.fault({ op: 'token', authtoken: 'narrow-token', acl: ['bind:other.edge.test'] });
  await writeFile(device.tokenFile, 'narrow-token\n');
  await device.until(
    (s) => s.conditions.some((c) => c.code === 'TOKEN_FILE_REFUSED' && c.message.includes('rules')),
    'its rules are named',
  );
  await writeFile(device.tokenFile, 'second-token\n');
  await device.until((s) => !isRefused(s), 'a good token in the file ends it');
  expect(stateOf(await device.status())).toBe('up');
});

test('a daemon that is killed in the middle of a swap ends it with one status and a token that works', async () => {
  const device = await upDevice();
  const { cloud } = device;
  for (let gen = 2; gen < 8; gen += 1) {
    const token = `token-number-${gen}`;
    await device.fault({ op: 'token', authtoken: token });
    const id = await cloud.sendRekey(token, gen);
    await waitFor(() => cloud.results(id).some((r) => r.status === 'executing'));
    // A later moment of the swap each time: staged, connecting, bound, settled, draining.
    const moments = [
      '"action":"start"',
      'session up',
      'endpoint bound',
      'authtoken swapped',
      'command ended',
    ];
    const moment = moments[gen - 3];
    if (moment !== undefined) {
      const from = device.daemon().stdout().length;
      await waitFor(
        () =>
          device
            .daemon()
            .stdout()
            .slice(Math.max(0, from - 400))
            .includes(moment) || cloud.results(id).some((r) => r.status === 'succeeded'),
      );
    }
    await device.kill('SIGKILL');
    await device.start();
    const end = await cloud.result(id, 80_000);
    expect(['succeeded', 'failed']).toContain(end.status);
    const held = (await device.until((s) => stateOf(s) === 'up', 'web is up')).credential.generation;
    expect(held === gen).toBe(end.status === 'succeeded');
    await waitFor(async () => (await device.visit()).status === 200);
    const ends = cloud.results(id).filter((r) => !['accepted', 'executing'].includes(r.status));
    expect(new Set(ends.map((r) => r.status)).size).toBe(1);
  }
  const vault = await readFile(`${device.stateDir}/vault.0.json`, 'utf8');
  expect(vault.length).toBeGreaterThan(0);
});
