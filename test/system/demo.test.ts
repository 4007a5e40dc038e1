import { readdir, readFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type SpawnNodeOptions, spawnNode } from '../support/spawn-node.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const TOUR_MS = 60_000;

/** A proxy that refuses everything: whoever asks it fails. */
const NO_WAY_OUT = {
  HTTP_PROXY: 'http://127.0.0.1:9',
  HTTPS_PROXY: 'http://127.0.0.1:9',
  ALL_PROXY: 'http://127.0.0.1:9',
  NO_PROXY: undefined,
  no_proxy: undefined,
  NODE_USE_ENV_PROXY: '1',
};

/** Processes with this folder in their arguments: daemon and tunnels of one demo. */
const processesOf = async (dir: string): Promise<readonly string[]> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')),
  );
  return lines.filter((line) => line.includes(dir));
};

/** The folder's name is short, since the demo puts unix sockets in it. */
const startDemo = async (args: readonly string[] = [], env: SpawnNodeOptions['env'] = {}) => {
  const tmp = await tempDir('lkd-');
  return { tmp, demo: spawnNode('src/demo/main.ts', args, { env: { ...NO_WAY_OUT, TMPDIR: tmp, ...env } }) };
};

const nothingLeft = async (tmp: string): Promise<void> => {
  await waitFor(async () => (await processesOf(tmp)).length === 0, { what: 'the end of all processes' });
  expect(await readdir(tmp)).toEqual([]);
};

const statusOf = (url: string, host: string): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    get(url, { headers: { host }, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on('error', reject);
  });

test('walks through everything and leaves nothing behind', async () => {
  const { tmp, demo } = await startDemo();
  const { code, stdout, stderr } = await demo.exit;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.trimEnd().split('\n');
  expect(lines.at(-1)).toMatch(/^demo: passed in [\d.]+ s; \d+ requests during swaps, 0 dropped$/);
  const steps = lines.flatMap((line) => /^ *\d+ ms {2}(.{11})/.exec(line)?.[1]?.trim() ?? []);
  expect(steps).toEqual(
    'sandbox,keys,daemon,before,start,request,edge gone,kill -9,rekey,revoke,roll back,lease,stop,end'.split(
      ',',
    ),
  );
  await nothingLeft(tmp);
});

test('stays with --keep, with an endpoint that can be visited, until it is told to end', async () => {
  const { tmp, demo } = await startDemo(['--keep']);
  await demo.line(/^demo: passed/, TOUR_MS);
  const [, host = '', url = ''] = /-H 'Host: ([^']+)' (\S+)/.exec(demo.stdout()) ?? [];
  expect(await statusOf(url, host)).toBe(200);
  const [, config = ''] = / config +(\S+)/.exec(demo.stdout()) ?? [];
  expect(JSON.parse(await readFile(config, 'utf8'))).toMatchObject({ trust: { mode: 'signed' } });
  demo.kill('SIGTERM');
  expect(await demo.exit).toMatchObject({ code: 0, stderr: '' });
  await nothingLeft(tmp);
});

test('fails when its daemon dies, and ends what that left running', async () => {
  const { tmp, demo } = await startDemo();
  await demo.line(/ request +a visitor gets 200/, TOUR_MS);
  const [, pid = ''] = /lockkeeperd runs \(pid (\d+)\)/.exec(demo.stdout()) ?? [];
  process.kill(Number(pid), 'SIGKILL');
  const { code, stdout } = await demo.exit;
  expect(code).toBe(1);
  expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^demo: failed: .*lockkeeperd ended by itself/);
  await nothingLeft(tmp);
});

test('ends in order when it is interrupted on its way', async () => {
  const { tmp, demo } = await startDemo();
  await demo.line(/ daemon +lockkeeperd runs/, TOUR_MS);
  demo.kill('SIGINT');
  demo.kill('SIGINT');
  const { code, stdout } = await demo.exit;
  expect(code).toBe(1);
  expect(stdout.trimEnd().split('\n').at(-1)).toBe('demo: failed: interrupted');
  await nothingLeft(tmp);
});

test('fails with a sentence when it has no room for its files', async () => {
  const { demo } = await startDemo([], { TMPDIR: join('/', 'nonexistent') });
  const { code, stdout } = await demo.exit;
  expect(code).toBe(1);
  expect(stdout).toMatch(/^demo: failed: .*nonexistent/m);
});

test('ends with 64 for an option that it does not know', async () => {
  const { demo } = await startDemo(['--fast']);
  expect(await demo.exit).toMatchObject({ code: 64, stdout: '' });
});
