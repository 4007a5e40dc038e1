import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { isOurProcess } from '../../../src/tunnel/process-files.ts';
import type { TunnelsOptions } from '../../../src/tunnel/tunnels.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';
import { spawnProgram } from '../../support/spawn-node.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { bindSpec, type LabSupervisor, labSupervisor } from '../../support/tunnel-lab.ts';
import { waitFor } from '../../support/wait-for.ts';

const FAKE = fileURLToPath(new URL('../../support/fake-tunnel-process.ts', import.meta.url));

interface World extends LabSupervisor {
  readonly runDir: string;
  readonly logs: string[];
  start(): void;
}

/** A supervisor whose one process behaves as told. */
const world = async (
  behaviour: string,
  over: Partial<TunnelsOptions> = {},
): Promise<World & { tunnel: string }> => {
  const runDir = await tempDir('lk-');
  const logs: string[] = [];
  const supervisor = labSupervisor({
    runDir,
    clock: systemClock,
    log: (_level, _fields, message) => logs.push(message),
    serverAddr: '',
    caFile: '',
    region: '',
    metadata: '',
    clientVersion: '0',
    noDelay: false,
    heartbeatIntervalS: 5,
    heartbeatToleranceS: 5,
    graceS: 5,
    execPath: process.execPath,
    processEntry: FAKE,
    ...over,
  });
  const tunnel = `t1_${behaviour}`;
  return {
    ...supervisor,
    runDir,
    logs,
    tunnel,
    start: () => supervisor.start({ tunnel, authtoken: 'hunter2-secret' }),
  };
};

/** Moves time on until the condition holds. */
const until = (clock: ManualClock, stepMs: number, look: () => boolean): Promise<unknown> =>
  waitFor(async () => {
    if (look()) return true;
    await clock.advance(stepMs);
    return look();
  });

const types = ({ events }: LabSupervisor): string[] => events.map(({ type }) => type);

describe('a process', () => {
  test('that does its work gives one event for each step and one exit', async () => {
    const w = await world('good');
    w.start();
    await w.event('connected');
    w.tunnels.bind(w.tunnel, bindSpec('web', {}));
    await w.event('bound');
    expect(w.tunnels.processes()).toMatchObject([{ tunnel: w.tunnel }]);
    w.tunnels.drain(w.tunnel, 1_000);
    const exited = await w.event('exited');
    expect(exited).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(types(w)).toEqual(['started', 'connected', 'bound', 'drained', 'exited']);
    expect(await readdir(w.runDir)).toEqual([]);
  });

  test('gets the authtoken by neither arguments nor environment, and its logs are cleaned', async () => {
    const w = await world('good');
    w.start();
    await waitFor(() => w.logs.length > 0);
    expect(w.logs).toEqual(['token [authtoken], leaked: false']);
  });

  test('that crashes leaves its last two kilobytes, without tokens', async () => {
    const w = await world('crash');
    w.start();
    const exited = await w.event('exited');
    expect(exited.code).toBe(134);
    expect(exited.stderr.length).toBeLessThanOrEqual(2_048);
    expect(exited.stderr).toMatch(/last words of \[authtoken\]$/);
    expect(types(w).filter((type) => type === 'exited')).toHaveLength(1);
  });

  test('that sends garbage is ended', async () => {
    const w = await world('garbage');
    w.start();
    await w.event('lost', ({ reason }) => reason === 'unresponsive');
    await w.event('exited');
    expect(types(w).filter((type) => type === 'exited')).toHaveLength(1);
  });

  test('that sends a line without end loses its channel', async () => {
    const w = await world('endless');
    w.start();
    await w.event('exited');
    expect(types(w)).not.toContain('connected');
  });

  test('may answer what was never asked', async () => {
    const w = await world('late');
    w.start();
    await w.event('connected');
    w.tunnels.bind(w.tunnel, bindSpec('web', {}));
    await w.event('bound');
  });

  test('that refuses a bind gives the failure as an event', async () => {
    const w = await world('refusing');
    w.start();
    await w.event('connected');
    w.tunnels.bind(w.tunnel, bindSpec('web', {}));
    expect(await w.event('bind-failed')).toMatchObject({ endpoint: 'web', fault: { code: 'INTERNAL' } });
  });

  test('that never answers is asked to end', async () => {
    const clock = manualClock();
    const w = await world('mute', { clock });
    w.start();
    await w.event('started');
    await until(clock, 15_000, () => w.events.some(({ type }) => type === 'lost'));
    await until(clock, 100, () => w.events.some(({ type }) => type === 'exited'));
    expect(types(w)).toEqual(['started', 'lost', 'exited']);
  });

  test('that ignores being asked is killed two seconds later', async () => {
    const clock = manualClock();
    const w = await world('stubborn', { clock });
    w.start();
    await w.event('started');
    await waitFor(() => existsSync(join(w.runDir, 'handler-stands')));
    await until(clock, 15_000, () => types(w).includes('lost'));
    await waitFor(() => existsSync(join(w.runDir, 'asked-to-end')));
    expect(types(w)).not.toContain('exited');
    await until(clock, 2_000, () => types(w).includes('exited'));
    expect(await w.event('exited')).toMatchObject({ signal: 'SIGKILL' });
  });

  test('that stops answering pings is lost', async () => {
    const clock = manualClock();
    const w = await world('deaf', { clock });
    w.start();
    await w.event('connected');
    await until(clock, 1_000, () => types(w).includes('lost'));
    await until(clock, 100, () => types(w).includes('exited'));
  });

  test('can be killed at any time', async () => {
    const w = await world('good');
    w.start();
    w.tunnels.kill(w.tunnel);
    expect(await w.event('exited')).toMatchObject({ signal: 'SIGKILL' });
  });

  test('that cannot be started ends all the same', async () => {
    const w = await world('good', { execPath: '/nowhere/node' });
    w.start();
    expect(await w.event('exited')).toMatchObject({ code: null, stderr: 'could not be started: ENOENT' });
    const x = await world('good', { runDir: '/nowhere' });
    x.start();
    expect(await x.event('exited')).toMatchObject({ code: null, stderr: 'could not be started: ENOENT' });
  });
});

test('commands for a process that is gone do nothing', async () => {
  const { tunnels } = await world('good');
  tunnels.bind('t9', bindSpec('web', {}));
  tunnels.unbind('t9', 'web', 0);
  tunnels.drain('t9', 0);
  tunnels.kill('t9');
  expect(tunnels.processes()).toEqual([]);
});

describe('adoption', () => {
  test('removes stale files and never kills a stranger', async () => {
    const w = await world('good');
    const stranger = spawnProgram('sleep', ['60']);
    await writeFile(join(w.runDir, 't7.pid'), `${stranger.pid}\n`);
    await writeFile(join(w.runDir, 't7.sock'), '');
    await writeFile(join(w.runDir, 't7.3.web.relay'), '');
    await writeFile(join(w.runDir, 'other.txt'), '');
    expect(await w.tunnels.adopt()).toEqual([]);
    expect(await readdir(w.runDir)).toEqual(['other.txt']);
    expect(stranger.child.exitCode).toBeNull();
    expect(() => process.kill(stranger.pid, 0)).not.toThrow();
  });

  test('kills a process of ours that does not answer', async () => {
    const w = await world('good');
    const silent = spawnProgram(process.execPath, [
      '-e',
      'setInterval(() => {}, 1000); console.log("up")',
      FAKE,
      w.runDir,
      't8',
    ]);
    await silent.line('up');
    await writeFile(join(w.runDir, 't8.pid'), `${silent.pid}\n`);
    expect(await isOurProcess(w.runDir, 't8', silent.pid, FAKE)).toBe(true);
    expect(await isOurProcess(w.runDir, 't9', silent.pid, FAKE)).toBe(false);
    expect(await isOurProcess('/other', 't8', silent.pid, FAKE)).toBe(false);
    expect(await w.tunnels.adopt()).toEqual([]);
    expect((await silent.exit).signal).toBe('SIGKILL');
    expect(await readdir(w.runDir)).toEqual([]);
  });
});
