import { readdir, readFile, stat } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { dirname, join } from 'node:path';
import mqtt from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfigHere } from '../../src/config/main-check.ts';
import type { SandboxLine } from '../../src/sandbox/sandbox.ts';
import { httpUpstream } from '../support/front-world.ts';
import { visit } from '../support/sandbox-world.ts';
import { startSdkAgent } from '../support/sdk-agent.ts';
import { type Running, runNode, spawnNode, spawnProgram } from '../support/spawn-node.ts';
import { tempDir } from '../support/temp-dir.ts';

const MAIN = 'src/sandbox/main.ts';

const started = async (...args: string[]): Promise<{ running: Running; line: SandboxLine }> => {
  const running = spawnNode(MAIN, ['--json', ...args]);
  await running.line('"v":1');
  return { running, line: JSON.parse(running.stdout()) as SandboxLine };
};

const isOpen = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    const { hostname, port } = new URL(url);
    const socket = createConnection(Number(port), hostname);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    onTestFinished(() => void socket.destroy());
  });

test('tells everything on its first line, serves, and leaves nothing when it is told to end', async () => {
  const { running, line } = await started(
    '--domain',
    'Site.test',
    '--token',
    'one=tok=one',
    '--token',
    'two=2',
  );
  expect(line).toMatchObject({ v: 1, domain: 'site.test', authtokens: { one: 'tok=one', two: '2' } });
  expect(line.edge.addr).toMatch(/^localhost:\d+$/);
  expect(line.authtokens['default']).toMatch(/^[0-9A-Za-z]{27}_[0-9A-Za-z]{21}$/);
  const doors = [
    `http://${line.edge.addr}`,
    line.edge.http,
    line.edge.https,
    line.api.url,
    line.broker.url,
    line.control.url,
  ];
  for (const url of doors) expect([url, await isOpen(url)]).toEqual([url, true]);

  const upstream = await httpUpstream((request, response) => response.end(`hello ${request.headers.host}`));
  const agent = await startSdkAgent();
  onTestFinished(() => agent.kill());
  await agent.connect({ serverAddr: line.edge.addr, rootCas: line.caFile, authtoken: 'tok=one' });
  const calls = [['domain', 'x.site.test']] as const;
  await agent.bind({ name: 'x', proto: 'http', calls, to: `http://127.0.0.1:${upstream}` });
  expect(await visit(line.edge.http, 'x.site.test')).toBe('hello x.site.test');
  const client = await mqtt.connectAsync(line.broker.url, { reconnectPeriod: 0 });
  client.on('error', () => undefined);
  onTestFinished(() => client.endAsync(true));
  const state = await (await fetch(`${line.control.url}/state`)).json();
  expect(state).toMatchObject({ sessions: [{ authtokenName: 'one' }], endpoints: [{ requests: 1 }] });
  const sessions = await fetch(`${line.api.url}/tunnel_sessions`, {
    headers: { authorization: `Bearer ${line.api.key}`, 'ngrok-version': '2' },
  });
  expect(await sessions.json()).toMatchObject({ tunnel_sessions: [{ ip: '127.0.0.1' }] });

  // Everybody is still connected: agent, MQTT client, and HTTP keep-alive connections.
  running.kill('SIGTERM');
  expect(await running.exit).toMatchObject({ code: 0, signal: null, stderr: '' });
  expect(running.stdout().trimEnd().split('\n')).toHaveLength(1);
  for (const url of doors) expect([url, await isOpen(url)]).toEqual([url, false]);
  await expect(stat(dirname(line.caFile))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('gets a signal that is sent to npm, and gives npm its exit code', async () => {
  const running = spawnProgram('npm', ['run', '-s', 'sandbox', '--', '--json']);
  await running.line('"v":1');
  const line = JSON.parse(running.stdout()) as SandboxLine;
  running.kill('SIGTERM');
  expect((await running.exit).code).toBe(0);
  expect(await isOpen(line.control.url)).toBe(false);
});

test('ends with 0 on SIGINT, even under faults', async () => {
  const { running, line } = await started();
  const fault = (body: object) =>
    fetch(`${line.control.url}/faults`, { method: 'POST', body: JSON.stringify(body) });
  await fault({ op: 'silence', on: true });
  await fault({ op: 'refuse', on: true });
  await fault({ op: 'broker', on: false });
  await fault({ op: 'api', delayMs: 1_000_000 });
  running.kill('SIGINT');
  expect(await running.exit).toMatchObject({ code: 0, signal: null, stderr: '' });
});

test('writes a configuration that the daemon accepts, and keeps a folder that it was given', async () => {
  const dir = join(await tempDir(), 'made', 'here');
  const running = spawnNode(MAIN, ['--dir', dir, '--token', 'default=my own']);
  await running.line('npm run -s lockkeeperd');
  const told = running.stdout();
  expect(told).toContain(join(dir, 'config.json'));
  expect(told).toContain('my own');
  const loaded = await loadConfigHere(join(dir, 'config.json'), {});
  expect(loaded).toMatchObject({
    ok: true,
    value: { config: { trust: { mode: 'broker' }, ngrok: { caFile: join(dir, 'ca.pem') } } },
  });
  expect(await readFile(join(dir, 'authtoken'), 'utf8')).toBe('my own\n');
  expect((await stat(join(dir, 'authtoken'))).mode & 0o777).toBe(0o600);
  running.kill('SIGTERM');
  expect((await running.exit).code).toBe(0);
  expect(await readdir(dir)).toContain('ca.pem');
});

test('calls an unknown option a usage error', async () => {
  const { code, stdout, stderr } = await runNode(MAIN, ['--bogus']);
  expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  expect(stderr).toMatch(/^error: .*--bogus/);
});

test('shows help and version', async () => {
  const help = await runNode(MAIN, ['--help']);
  expect(help).toMatchObject({ code: 0, stderr: '' });
  for (const option of ['--json', '--dir', '--domain', '--token', '--revoke', '--grace', '/faults']) {
    expect(help.stdout).toContain(option);
  }
  expect(await runNode(MAIN, ['--version'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+/),
  });
});

test('says why it cannot start, and leaves nothing open', async () => {
  const { code, stderr, stdout } = await runNode(MAIN, ['--json', '--dir', '/dev/null/x']);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^sandbox: .*\/dev\/null/);
});
