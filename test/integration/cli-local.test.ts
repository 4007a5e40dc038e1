import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startControlServer } from '../../src/control/server.ts';
import { failed, fault, ok } from '../../src/core/errors.ts';
import { freePort } from '../support/free-port.ts';
import { runNode } from '../support/spawn-node.ts';
import { endpointInStatus, statusDocumentOf } from '../support/status-fixture.ts';
import { tempDir } from '../support/temp-dir.ts';

const STATUS = statusDocumentOf({
  device: 'press-7',
  version: '0.1.0',
  uptimeS: 12,
  link: {
    state: 'connected',
    broker: 'mqtts://broker.example:8883',
    protocol: 5,
    since: new Date().toISOString(),
    lastError: null,
  },
  session: {
    state: 'connected',
    since: new Date().toISOString(),
    generation: 1,
    latencyMs: 41,
    reconnects: 0,
    lastError: null,
  },
  endpoints: [
    endpointInStatus({
      name: 'web',
      state: 'up',
      url: `https://${'long-'.repeat(20)}name.site-a.example`,
      upstream: 'hmi',
      proto: 'http',
      by: 'lease',
      leaseEndsAt: new Date(Date.now() + 600_000).toISOString(),
      requests: 10,
      connections: 2,
      inFlight: 0,
      bytesIn: 1,
      bytesOut: 1,
      lastError: {
        code: 'UPSTREAM_DOWN',
        message: 'The upstream 127.0.0.1:8080 refuses connections.',
        retryable: true,
      },
    }),
  ],
  conditions: [
    {
      code: 'UPSTREAM_DOWN',
      severity: 'warning',
      since: new Date().toISOString(),
      message: 'The upstream of web does not answer.',
    },
  ],
});

const startDaemon = async () => {
  const socket = join(await tempDir(), 'c.sock');
  const calls: string[] = [];
  const server = await startControlServer(socket, {
    status: () => ({ ...STATUS }),
    machine: () => Promise.reject(new Error('nobody asks')),
    stalled: () => null,
    upstreamUrl: (upstream) => upstream,
    isPooled: () => true,
    lock: async () => {
      calls.push('lock');
      return ok(undefined);
    },
    unlock: async () => {
      calls.push('unlock');
      return failed(fault('STORE_FAILED', 'The lock file cannot be removed.', true));
    },
  });
  if (!server.ok) throw new Error(server.fault.message);
  onTestFinished(() => server.value.close());
  return { socket, calls };
};

const lockkeeper = (args: readonly string[], env: Record<string, string> = {}) =>
  runNode('src/lockkeeper.ts', args, { env });

test('prints the status document as it came with --json', async () => {
  const { socket } = await startDaemon();
  const ended = await lockkeeper(['status', '--json', '--socket', socket]);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(ended.stdout)).toEqual(STATUS);
});

test('prints a table for people that fits 80 columns but for addresses', async () => {
  const { socket } = await startDaemon();
  const { code, stdout } = await lockkeeper(['status', '--socket', socket]);
  expect(code).toBe(0);
  const lines = stdout.split('\n');
  expect(lines[0]).toBe('press-7  Lockkeeper 0.1.0, up 12 s');
  expect(stdout).toMatch(/web +up +lease, 10 min left +10 +0 +hmi/);
  expect(stdout).toContain('warning UPSTREAM_DOWN');
  for (const line of lines.filter((l) => !l.includes('https://')))
    expect(line.length).toBeLessThanOrEqual(80);
});

test('finds the socket by its variable, and never through a proxy', async () => {
  const { socket } = await startDaemon();
  const dead = `http://127.0.0.1:${await freePort()}`;
  const ended = await lockkeeper(['status', '--json'], {
    LOCKKEEPER_SOCKET: socket,
    HTTP_PROXY: dead,
    HTTPS_PROXY: dead,
    ALL_PROXY: dead,
    NODE_USE_ENV_PROXY: '1',
  });
  expect(ended).toMatchObject({ code: 0 });
});

test('ends with 69 when no daemon answers', async () => {
  const socket = join(await tempDir(), 'c.sock');
  for (const args of [
    ['status', '--json'],
    ['lock', '--json'],
    ['unlock', '--json'],
  ]) {
    const ended = await lockkeeper([...args, '--socket', socket]);
    expect(ended.code).toBe(69);
    expect(JSON.parse(ended.stdout)).toMatchObject({ code: 'DAEMON_UNREACHABLE', retryable: true });
    expect(ended.stderr).toContain(socket);
  }
});

test('locks, and passes on what the daemon says when it cannot unlock', async () => {
  const { socket, calls } = await startDaemon();
  expect(await lockkeeper(['lock', '--socket', socket])).toMatchObject({ code: 0, stdout: 'locked\n' });
  const unlock = await lockkeeper(['unlock', '--socket', socket, '--json']);
  expect(unlock.code).toBe(1);
  expect(JSON.parse(unlock.stdout)).toEqual({
    code: 'STORE_FAILED',
    message: 'The lock file cannot be removed.',
    retryable: true,
  });
  expect(calls).toEqual(['lock', 'unlock']);
});

test('takes an answer that is no status for no answer', async () => {
  const socket = join(await tempDir(), 'c.sock');
  const answer: RequestListener = (_request, response) => response.end('<html>');
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  expect((await lockkeeper(['status', '--socket', socket])).code).toBe(69);
});

test.each([
  [['--help'], 0],
  [['--version'], 0],
  [['status', '--help'], 0],
  [[], 64],
  [['dance'], 64],
  [['status', 'extra'], 64],
  [['status', '--unknown'], 64],
  [['desired'], 64],
])('ends %j with %i', async (args, code) => {
  const ended = await lockkeeper(args);
  expect(ended.code).toBe(code);
  expect(code === 0 ? ended.stdout : ended.stderr).not.toBe('');
});
