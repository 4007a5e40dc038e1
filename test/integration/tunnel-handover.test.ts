import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { BindSpec } from '../../src/core/endpoint.ts';
import type { TunnelsOptions } from '../../src/tunnel/tunnels.ts';
import { type Running, spawnNode } from '../support/spawn-node.ts';
import { bindSpec, LAB_TOKEN, type TunnelLab, tunnelLab } from '../support/tunnel-lab.ts';
import { httpUpstream } from '../support/tunnel-upstreams.ts';
import { waitFor } from '../support/wait-for.ts';

const isGone = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
};

/** Starts a supervisor that can be killed, with one endpoint that serves. */
const elsewhere = async (
  lab: TunnelLab,
  over: Partial<TunnelsOptions> = {},
  spec?: Partial<BindSpec>,
): Promise<{ supervisor: Running; pid: number }> => {
  const port = await httpUpstream((_request, response) => response.end('hello'));
  const { clock: _clock, log: _log, ...options } = lab.options(over);
  const supervisor = spawnNode('test/support/tunnel-supervisor.ts', [], {
    stdin: JSON.stringify({ options, authtoken: LAB_TOKEN, spec: bindSpec('web', { port }, spec) }),
  });
  const started = JSON.parse(await supervisor.line('"started"')) as { pid: number };
  onTestFinished(() => {
    if (!isGone(started.pid)) process.kill(started.pid, 'SIGKILL');
  });
  await supervisor.line('"serving"');
  return { supervisor, pid: started.pid };
};

const get = (lab: TunnelLab): Promise<{ status: number; body: string }> => lab.get('web.edge.test');

test('a tunnel whose supervisor is killed serves on and is adopted with all it holds', async () => {
  const lab = await tunnelLab();
  const { supervisor, pid } = await elsewhere(lab);
  const [sessionId] = [...lab.edge.sessions.keys()];
  supervisor.kill('SIGKILL');
  await supervisor.exit;
  for (let n = 0; n < 20; n += 1) expect(await get(lab)).toEqual({ status: 200, body: 'hello' });

  const next = lab.supervisor();
  const adopted = await next.tunnels.adopt();
  expect(adopted).toMatchObject([
    { tunnel: 't1', pid, slot: 'b', generation: 3, sessionId, connected: true },
  ]);
  expect(adopted[0]?.endpoints).toMatchObject([{ spec: { name: 'web' }, serving: true }]);
  expect(adopted[0]?.endpoints[0]?.url).toContain('web.edge.test');
  expect(JSON.stringify(adopted)).not.toContain(LAB_TOKEN);
  expect(next.tunnels.processes()).toMatchObject([{ tunnel: 't1', pid }]);
  await next.event('counters', ({ endpoints }) => (endpoints['web']?.requests ?? 0) >= 20);

  next.tunnels.bind('t1', bindSpec('more', { port: 9 }));
  await next.event('serving', ({ endpoint }) => endpoint === 'more');
  next.tunnels.drain('t1', 5_000);
  await next.event('drained');
  expect(await next.event('exited')).toMatchObject({ code: null, signal: null, stderr: '' });
  expect(await readdir(lab.runDir)).toEqual([]);
});

test('a supervisor that lets go leaves its tunnels to the next one', async () => {
  const lab = await tunnelLab();
  const { supervisor, pid } = await elsewhere(lab);
  supervisor.kill('SIGUSR2');
  await supervisor.line('released');
  // Nothing holds it any more: it ends by itself, the tunnel does not.
  expect((await supervisor.exit).code).toBe(0);
  expect(await get(lab)).toMatchObject({ status: 200 });
  const next = lab.supervisor();
  expect(await next.tunnels.adopt()).toMatchObject([{ pid }]);
});

test('a new supervisor takes a tunnel over from one that still lives', async () => {
  const lab = await tunnelLab();
  const { supervisor, pid } = await elsewhere(lab);
  const next = lab.supervisor();
  expect(await next.tunnels.adopt()).toMatchObject([{ pid }]);
  expect((await supervisor.exit).stdout).not.toContain('exited');
  expect(await get(lab)).toMatchObject({ status: 200 });
});

test('a frozen process that does not answer is killed at adoption, and the folder is clean', async () => {
  const lab = await tunnelLab();
  const { supervisor, pid } = await elsewhere(lab);
  supervisor.kill('SIGKILL');
  await supervisor.exit;
  process.kill(pid, 'SIGSTOP');
  const next = lab.supervisor();
  expect(await next.tunnels.adopt()).toEqual([]);
  await waitFor(() => isGone(pid));
  expect(await readdir(lab.runDir)).toEqual([]);
  expect(next.tunnels.processes()).toEqual([]);
});

test('without a supervisor it drains and ends after the grace period', async () => {
  const lab = await tunnelLab();
  const { supervisor, pid } = await elsewhere(lab, { graceS: 2 });
  supervisor.kill('SIGKILL');
  await supervisor.exit;
  expect(await get(lab)).toMatchObject({ status: 200 });
  await waitFor(() => isGone(pid));
  expect(lab.edge.sessions.size).toBe(0);
  // Its last words alone are left, empty, for the next supervisor to clear away.
  expect(await readdir(lab.runDir)).toEqual(['t1.err']);
  const next = lab.supervisor();
  expect(await next.tunnels.adopt()).toEqual([]);
  expect(await readdir(lab.runDir)).toEqual([]);
});

test('without a supervisor it closes each endpoint at its time', async () => {
  const lab = await tunnelLab();
  const { supervisor, pid } = await elsewhere(lab, { graceS: 600 }, { closesAtMs: Date.now() + 4_000 });
  supervisor.kill('SIGKILL');
  await supervisor.exit;
  await waitFor(async () => (await get(lab)).status === 404);
  // It held nothing else, so it has no reason to stay.
  await waitFor(() => isGone(pid));
});

test('no secret stands in arguments, environment, files or events', async () => {
  const lab = await tunnelLab();
  const { supervisor, pid } = await elsewhere(lab);
  const proc = (name: string): Promise<string> => readFile(`/proc/${pid}/${name}`, 'utf8');
  const environ = await proc('environ');
  const names = environ
    .split('\0')
    .map((entry) => entry.split('=')[0])
    .filter((name) => name !== '');
  expect(names).toContain('MALLOC_ARENA_MAX');
  expect(names.filter((name) => /proxy|lockkeeper|ngrok|node_options/i.test(name ?? ''))).toEqual([]);
  const files = await Promise.all(
    (await readdir(lab.runDir))
      .filter((name) => !/\.(sock|relay)$/.test(name))
      .map((name) => readFile(join(lab.runDir, name), 'utf8')),
  );
  const everything = JSON.stringify([
    await proc('cmdline'),
    environ,
    files,
    supervisor.stdout(),
    supervisor.stderr(),
  ]);
  expect(everything).not.toContain(LAB_TOKEN);
  expect(everything).not.toContain(LAB_TOKEN.slice(0, 27));
});
