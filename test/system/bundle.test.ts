import { access, constants, cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/ask.ts';
import { REPO_DIR, runNode, spawnNode, spawnProgram } from '../support/spawn-node.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const DIST = join(REPO_DIR, 'dist');
const PROGRAMS = ['lockkeeperd', 'lockkeeper', 'sandbox'] as const;

/** The bundles somewhere else, with nothing beside them but the module that has native code. */
const installed = async (): Promise<string> => {
  const dir = await tempDir();
  await cp(DIST, join(dir, 'dist'), { recursive: true });
  await mkdir(join(dir, 'node_modules'));
  await symlink(join(REPO_DIR, 'node_modules/@ngrok'), join(dir, 'node_modules/@ngrok'));
  return join(dir, 'dist');
};

describe.each(PROGRAMS)('the bundle of %s', (program) => {
  test('tells its version from any folder', async () => {
    const { version } = JSON.parse(await readFile(join(REPO_DIR, 'package.json'), 'utf8')) as {
      version: string;
    };
    const ended = await runNode(join(await installed(), `${program}.js`), ['--version'], { cwd: '/' });
    expect(ended).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('tells its usage', async () => {
    const { code, stdout } = await runNode(join(DIST, `${program}.js`), ['--help'], { cwd: '/' });
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: ${program}`);
  });

  test('can be started as a program', async () => {
    const file = join(DIST, `${program}.js`);
    await access(file, constants.X_OK);
    const { code } = await spawnProgram(file, ['--version'], { env: { PATH: pathOfThisNode() } }).exit;
    expect(code).toBe(0);
  });

  test('ends with 64 for an option that it does not have', async () => {
    expect((await runNode(join(DIST, `${program}.js`), ['--no-such-option'])).code).toBe(64);
  });
});

/** The shell finds the node that runs the tests. */
const pathOfThisNode = (): string => `${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}`;

test('the tunnel process asks for its arguments', async () => {
  const ended = await runNode(join(await installed(), 'tunnel-process.js'), [], { cwd: '/' });
  expect(ended).toMatchObject({ code: 64, stdout: '' });
  expect(ended.stderr).toContain('RUNDIR');
});

test('bundles hold no path of the machine that built them', async () => {
  for (const program of [...PROGRAMS, 'tunnel-process']) {
    expect(await readFile(join(DIST, `${program}.js`), 'utf8')).not.toContain(REPO_DIR);
  }
});

test('the bundled daemon serves a visitor through the bundled sandbox', async () => {
  const dist = await installed();
  const dir = await tempDir();
  const upstream = createServer((_, response) => response.end('from the upstream')).listen(0, '127.0.0.1');
  await new Promise((resolve) => upstream.once('listening', resolve));
  onTestFinished(() => void upstream.close());

  const sandbox = spawnNode(join(dist, 'sandbox.js'), ['--json', '--dir', join(dir, 'sandbox')], {
    cwd: '/',
  });
  const told = JSON.parse(await sandbox.line(/^\{"v":1/)) as {
    readonly caFile: string;
    readonly edge: { readonly addr: string; readonly http: string };
    readonly broker: { readonly url: string };
    readonly authtokens: { readonly default: string };
  };
  await writeFile(join(dir, 'authtoken'), told.authtokens.default, { mode: 0o600 });
  const config = {
    device: { id: 'press-7', tenant: 'acme' },
    stateDir: join(dir, 'state'),
    socket: join(dir, 'lockkeeper.sock'),
    mqtt: { url: told.broker.url },
    trust: { mode: 'broker' },
    ngrok: { authtokenFile: 'authtoken', serverAddr: told.edge.addr, caFile: told.caFile },
    upstreams: { hmi: { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}` } },
    endpoints: [{ name: 'web', proto: 'http', upstream: 'hmi', url: 'https://Web.edge.test', on: true }],
    handover: { graceS: 0 },
  };
  await writeFile(join(dir, 'config.json'), JSON.stringify(config));
  const daemon = spawnNode(join(dist, 'lockkeeperd.js'), ['--config', join(dir, 'config.json')], {
    cwd: '/',
  });
  const answer = await waitFor(
    async () => {
      const { status, body } = await ask(told.edge.http, 'web.edge.test');
      return status === 200 && body;
    },
    { deadlineMs: 45_000, what: 'the first answer through the edge' },
  );
  expect(answer).toBe('from the upstream');

  daemon.kill('SIGTERM');
  expect((await daemon.exit).code).toBe(0);
  sandbox.kill('SIGTERM');
  expect((await sandbox.exit).code).toBe(0);
});
