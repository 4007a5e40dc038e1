import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ALWAYS_ON, isAlive, type StatusSeen, startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

test('a stop in the middle of a hand-over reaches the new supervisor, which drains', async () => {
  const device = await startDevice({ config: ALWAYS_ON });
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  const tunnels = await device.tunnelPids();
  device.daemon().kill('SIGHUP');
  await waitFor(() => device.log().includes('"signal":"SIGHUP"'));
  device.daemon().kill('SIGTERM');
  expect((await device.daemon().exit).code).toBe(0);
  await waitFor(() => !tunnels.some(isAlive), { what: 'the end of the tunnels', deadlineMs: 30_000 });
  expect((await device.visit()).status).toBe(404);
  await expect(device.status()).rejects.toThrow();
  // Drained by a supervisor; one that had lost its own would have served on for the grace period.
  expect(device.log()).toContain('handed over');
});

/** One endpoint that is open and one that the edge refuses; a document adds one whose upstream is not allowed. */
const MIXED = {
  endpoints: [
    ...ALWAYS_ON.endpoints,
    { name: 'foreign', proto: 'http', upstream: 'hmi', url: 'https://foreign.edge.test', on: true },
  ],
};

const timesOf = (s: StatusSeen) => ({
  session: s.session.since,
  endpoints: s.endpoints.map(({ name, state, since }) => ({ name, state, since })),
  conditions: s.conditions.map(({ code, endpoint, since }) => ({ code, endpoint, since })),
  reconnects: s.session.reconnects,
});

for (const how of ['SIGHUP', 'SIGKILL'] as const) {
  test(`after ${how} all goes on since when it began, and what did not change is not told again`, async () => {
    const device = await startDevice({ start: false, config: MIXED });
    const { cloud, sandbox } = device;
    await device.fault({
      op: 'token',
      authtoken: sandbox.authtokens['default'] ?? '',
      acl: ['bind:device-1.edge.test'],
    });
    await device.start();
    await cloud.desired(1, [
      {
        name: 'denied',
        proto: 'http',
        upstream: 'http://10.0.0.5:502',
        url: 'https://denied.edge.test',
        on: true,
      },
    ]);
    const isSettled = (s: StatusSeen): boolean =>
      s.session.state === 'connected' &&
      ['web', 'foreign', 'denied'].map((name) => stateOf(s, name)).join() === 'up,failed,denied';
    await device.until(isSettled, 'all is as it can be');
    const [first] = await device.tunnelPids();
    if (first === undefined) throw new Error('no tunnel process');
    process.kill(first, 'SIGKILL');
    await device.until((s) => s.session.reconnects === 1 && isSettled(s), 'the session is back', 40_000);
    await waitFor(() => cloud.events().filter((e) => e.type === 'endpoint.up').length === 2);
    const before = await device.status();
    const [tunnel] = await device.tunnelPids();
    // The next look shows the same: nothing moves by itself.
    expect(timesOf(await device.status())).toEqual(timesOf(before));
    await waitFor(async () => {
      const kept = JSON.parse(await readFile(join(device.stateDir, 'continuity.0.json'), 'utf8'));
      return kept.value.reconnects === 1 && kept.value.told.conditions.length === before.conditions.length;
    });
    const told = cloud.events().length;

    if (how === 'SIGHUP') {
      device.daemon().kill('SIGHUP');
      await device.until((s) => s.pid !== before.pid && s.link.state === 'connected', 'handed over');
    } else {
      await device.kill('SIGKILL');
      await device.start();
    }
    const after = await device.until(isSettled, 'taken over');
    expect(await device.tunnelPids()).toEqual([tunnel]);
    expect(timesOf(after)).toEqual(timesOf(before));
    await waitFor(() => cloud.events().length > told);
    await cloud.command('ping');
    await waitFor(() => cloud.events().some((e) => e.type === 'command.done'));
    expect(
      cloud
        .events()
        .slice(told)
        .map((e) => e.type),
    ).toEqual(['agent.start', 'command.done']);
    const reported = cloud.reported();
    expect(reported?.session.since).toBe(Math.floor(Date.parse(before.session.since ?? '') / 1000));
  });
}
