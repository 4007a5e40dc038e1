/** An operator's desk for tests: a profile, keys, and the command line as a child process. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TENANT } from './scripted-device.ts';
import { type Exit, runNode, type SpawnNodeOptions } from './spawn-node.ts';
import { tempDir } from './temp-dir.ts';

export interface Operator {
  readonly dir: string;
  readonly profile: string;
  readonly keysFile: string;
  /** Runs `lockkeeper` with the profile in the environment. */
  run(args: readonly string[], options?: SpawnNodeOptions): Promise<Exit>;
  /** Runs it with `--json` and reads the one document on stdout. */
  json(
    args: readonly string[],
    options?: SpawnNodeOptions,
  ): Promise<{ readonly code: number | null; readonly body: Record<string, unknown> }>;
  keysText(): Promise<string>;
}

/** Writes a profile for the broker; with `trust` signed also makes the keys. */
export const makeOperator = async (
  url: string,
  trust: 'signed' | 'broker' = 'signed',
  api?: { readonly url: string; readonly key: string },
): Promise<Operator> => {
  const dir = await tempDir('lockkeeper-operator-');
  const profile = join(dir, 'profile.json');
  const body = {
    tenant: TENANT,
    mqtt: { url },
    trust,
    sign: { kid: 'ops-1', keyFile: 'ops-1.json' },
    rootKeyFile: 'root.json',
    keysFile: 'keys.json',
    devicesDir: 'devices',
    auditFile: 'audit.jsonl',
    ...(api === undefined ? {} : { api: { url: api.url, keyFile: 'api-key' } }),
  };
  if (api !== undefined) await writeFile(join(dir, 'api-key'), `${api.key}\n`, { mode: 0o600 });
  await writeFile(profile, JSON.stringify(body), { mode: 0o600 });
  const run: Operator['run'] = (args, options = {}) =>
    runNode('src/lockkeeper.ts', args, {
      ...options,
      // The state folder holds the shared count of API requests, which must not be this machine's own.
      env: { LOCKKEEPER_PROFILE: profile, XDG_STATE_HOME: dir, ...options.env },
    });
  const operator: Operator = {
    dir,
    profile,
    keysFile: join(dir, 'keys.json'),
    run,
    async json(args, options) {
      const { code, stdout, stderr } = await run([...args, '--json'], options);
      if (stdout === '') throw new Error(stderr);
      return { code, body: JSON.parse(stdout) as Record<string, unknown> };
    },
    keysText: () => readFile(join(dir, 'keys.json'), 'utf8'),
  };
  if (trust === 'signed') {
    const made = await run(['keys', 'init']);
    if (made.code !== 0) throw new Error(made.stderr);
  }
  return operator;
};
