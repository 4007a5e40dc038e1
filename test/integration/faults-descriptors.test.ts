/** Descriptors: thousands of connections of every fate leave none behind, and a process that has none left says so. */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { ALWAYS_ON, type Device, startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

const ROUNDS = 100;
const AT_ONCE = 50;
const SLOW_CLIENTS = 300;
const LIMIT = 256;
const SPARE = 10;
const FATES = ['/normal', '/reset', '/stay'] as const;

/** `/stay`: the answer is whole, and the connection stays. `/hold`: the answer never ends. */
const upstream: RequestListener = (asked, answer) => {
  if (asked.url === '/hold') answer.write('x');
  else answer.setHeader('connection', asked.url === '/stay' ? 'keep-alive' : 'close').end('hello');
};

const descriptorsOf = async (pids: readonly number[]): Promise<readonly number[]> =>
  Promise.all(pids.map(async (pid) => (await readdir(`/proc/${pid}/fd`)).length));

const open = (device: Device, path: string): Socket => {
  const { port, hostname } = new URL(device.sandbox.line.edge.http);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  socket.write(`GET ${path} HTTP/1.1\r\nhost: device-1.edge.test\r\n\r\n`);
  return socket;
};

/** One visitor: has its answer and leaves, or goes as soon as it has asked. */
const pass = (device: Device, path: (typeof FATES)[number]): Promise<void> =>
  new Promise((resolve) => {
    const socket = open(device, path);
    socket.once('close', () => resolve());
    if (path === '/reset') socket.once('connect', () => socket.resetAndDestroy());
    else socket.once('data', () => socket.end());
  });

const startServing = async (): Promise<{ device: Device; pids: readonly number[] }> => {
  const device = await startDevice({ upstream, config: ALWAYS_ON });
  const { pid, tunnels } = await device.until((s) => stateOf(s) === 'up', 'web is up');
  return { device, pids: [pid, ...tunnels.map((tunnel) => tunnel.pid)] };
};

test('five thousand connections, whole, reset or held by the upstream, leave no descriptor behind', async () => {
  const { device, pids } = await startServing();
  expect((await device.visit()).status).toBe(200);
  const before = await descriptorsOf(pids);
  for (let round = 0; round < ROUNDS; round += 1)
    await Promise.all(
      Array.from({ length: AT_ONCE }, (_, n) => pass(device, FATES[n % FATES.length] ?? '/normal')),
    );
  await waitFor(
    async () => (await descriptorsOf(pids)).every((now, at) => now <= (before[at] ?? 0) + SPARE),
    { what: 'both processes have closed what they held', deadlineMs: 50_000, everyMs: 500 },
  );
  const { pid, tunnels } = await device.status();
  expect([pid, ...tunnels.map((tunnel) => tunnel.pid)]).toEqual(pids);
  expect((await device.visit()).status).toBe(200);
});

test('a tunnel process without descriptors refuses and says so, and is good again once there are some', async () => {
  const { device, pids } = await startServing();
  const { cloud } = device;
  await promisify(execFile)('prlimit', [`--pid=${pids[1]}`, `--nofile=${LIMIT}:${LIMIT}`]);
  const come = (howMany: number): readonly Socket[] =>
    Array.from({ length: howMany }, () => open(device, '/hold').resume());
  const slow = [...come(SLOW_CLIENTS)];
  onTestFinished(() => {
    for (const socket of slow) socket.destroy();
  });
  const isSaturated = (s: { readonly conditions: readonly { readonly code: string }[] }): boolean =>
    s.conditions.some(({ code }) => code === 'SATURATED');
  // The process may have looked at its limit a moment before it fell: visitors keep coming.
  await waitFor(
    async () => {
      slow.push(...come(20));
      return isSaturated(await device.status());
    },
    { what: 'the condition', deadlineMs: 20_000, everyMs: 700 },
  );
  await waitFor(() => cloud.reported()?.conditions?.some(({ code }) => code === 'SATURATED'));
  for (const socket of slow) socket.destroy();
  const after = await device.until((s) => !isSaturated(s), 'the condition is gone', 60_000);
  expect(after.tunnels.map(({ pid }) => pid)).toEqual([pids[1]]);
  expect((await device.visit()).status).toBe(200);
});
