/** The package as another program's dependency: packed, installed, compiled against and run. */
import { execFile } from 'node:child_process';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { emitLibrary } from '../../packaging/library.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { REPO_DIR, runNode } from '../support/spawn-node.ts';
import { tempDir } from '../support/temp-dir.ts';

const run = promisify(execFile);

const PROGRAM = `
import { createNgrokApi, lintPolicy, readPolicyText } from 'lockkeeper/fleet';
import { formatTopic, newCommandId } from 'lockkeeper/protocol';

const [url = '', key = ''] = process.argv.slice(2);
const api = createNgrokApi({ url, key });
if (!api.ok) throw new Error(api.fault.message);
const made = await api.value.credentials.create({ description: 'by a backend', acl: ['bind:a.example.com'] });
if (!made.ok) throw new Error(made.fault.message);
const all = await api.value.credentials.list();
if (!all.ok) throw new Error(all.fault.message);
const topic: string = formatTopic({ kind: 'reported', tenant: 'acme', device: 'press-7' });
// @ts-expect-error a topic is no number: the declarations say more than "any"
const wrong: number = topic;
const policy = readPolicyText('on_http_request: [{ actions: [{ type: nothing }] }]');
const findings = policy.ok ? lintPolicy(policy.value, { nowMs: 0, internalUrls: null, isCloud: false }) : [];
const id: string = newCommandId({ wall: () => 0, random: () => 0 });
console.log(JSON.stringify({ has: all.value.some(({ id }) => id === made.value.id), topic, wrong, findings, id }));
`;

test('a backend of its own installs, compiles and runs against the two entries', async () => {
  const sandbox = await startSandbox();
  onTestFinished(() => sandbox.close());
  const dir = await tempDir('lockkeeper-backend-');
  // What an earlier build left may be of older sources.
  await emitLibrary();
  const pack = ['pack', '--silent', '--ignore-scripts', '--pack-destination', dir, REPO_DIR];
  const { stdout } = await run('npm', pack, { cwd: dir });
  await run('tar', ['-xzf', join(dir, stdout.trim()), '-C', dir]);
  await mkdir(join(dir, 'node_modules'));
  const installed = join(dir, 'node_modules/lockkeeper');
  await rename(join(dir, 'package'), installed);
  // What npm would install beside it.
  await symlink(join(REPO_DIR, 'node_modules'), join(installed, 'node_modules'));
  await writeFile(join(dir, 'package.json'), '{ "type": "module" }');
  await writeFile(join(dir, 'backend.ts'), PROGRAM);

  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--skipLibCheck'];
  const types = ['--typeRoots', join(REPO_DIR, 'node_modules/@types'), '--types', 'node'];
  await run(join(REPO_DIR, 'node_modules/.bin/tsc'), [...flags, ...types, 'backend.ts'], { cwd: dir }).catch(
    (error: unknown) => expect((error as { readonly stdout: string }).stdout).toBe(''),
  );
  const { url, key } = sandbox.line.api;
  const ended = await runNode(join(dir, 'backend.ts'), [url, key], { cwd: dir });
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(ended.stdout)).toMatchObject({
    has: true,
    topic: 'lk1/acme/d/press-7/reported',
    findings: [{ code: 'UNKNOWN_ACTION' }],
    id: expect.stringMatching(/^[0-9A-Z]{26}$/),
  });
});
