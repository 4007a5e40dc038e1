import { spawn } from 'node:child_process';
import { cp, glob, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REPO_DIR } from '../support/spawn-node.ts';
import { makeTempDir, tempDir } from '../support/temp-dir.ts';

interface Report {
  readonly modules: readonly { readonly source: string }[];
  readonly summary: {
    readonly totalCruised: number;
    readonly violations: readonly { readonly from: string; readonly rule: { readonly name: string } }[];
  };
}

/** Runs the checker as `npm test` does, in another folder, with a report that can be read. */
const cruise = (cwd: string): Promise<Report> =>
  new Promise((resolve, reject) => {
    const args = ['--config', '.dependency-cruiser.mjs', '--output-type', 'json', 'src'];
    const child = spawn(
      process.execPath,
      [join(REPO_DIR, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs'), ...args],
      { cwd, stdio: ['ignore', 'pipe', 'ignore'] },
    );
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    child.once('error', reject);
    child.once('close', () => {
      try {
        resolve(JSON.parse(text) as Report);
      } catch (error) {
        reject(error);
      }
    });
  });

/** One violation of each rule: the file that is planted, and what it imports. */
const PLANTS: Readonly<Record<string, readonly [file: string, imports: string]>> = {
  'core-is-the-ground': ['src/core/planted.ts', '../protocol/names.ts'],
  'protocol-stands-on-core': ['src/protocol/planted.ts', '../config/config.ts'],
  'config-stands-on-core': ['src/config/planted.ts', '../daemon/ports.ts'],
  'daemon-knows-ports-only': ['src/daemon/planted.ts', '../link/link.ts'],
  'tunnel-stands-alone': ['src/tunnel/planted.ts', '../vault/atomic-file.ts'],
  'link-stands-alone': ['src/link/planted.ts', '../daemon/supervisor.ts'],
  'vault-stands-alone': ['src/vault/planted.ts', '../link/link.ts'],
  'health-stands-alone': ['src/health/planted.ts', '../tunnel/tunnels.ts'],
  'control-stands-alone': ['src/control/planted.ts', '../health/machine.ts'],
  'log-stands-on-core': ['src/log/planted.ts', '../vault/atomic-file.ts'],
  'fleet-runs-without-a-device': ['src/fleet/planted.ts', '../daemon/daemon.ts'],
  'doctor-touches-what-the-daemon-touches': ['src/doctor/planted.ts', '../tunnel/tunnels.ts'],
  'sandbox-is-its-own-world': ['src/sandbox/edge/planted.ts', '../../tunnel/sdk-errors.ts'],
  'ngrok-sdk-in-tunnel': ['src/daemon/planted-sdk.ts', '@ngrok/ngrok'],
  'mqtt-in-link-and-fleet': ['src/vault/planted-mqtt.ts', 'mqtt'],
  'broker-in-sandbox': ['src/link/planted-broker.ts', 'aedes'],
  'nobody-imports-a-program': ['src/sandbox/planted-program.ts', '../lockkeeperd.ts'],
  'src-knows-no-tests': ['src/core/planted-test.ts', '../../test/support/wait-for.ts'],
  'src-needs-no-tools': ['src/core/planted-tool.ts', 'fast-check'],
  'no-cycles': ['src/core/planted-a.ts', './planted-b.ts'],
  'no-lost-imports': ['src/core/planted-lost.ts', './nowhere.ts'],
};

/** Names of the rules as they stand in the configuration. */
const ruleNames = async (): Promise<readonly string[]> => {
  const { default: config } = (await import(join(REPO_DIR, '.dependency-cruiser.mjs'))) as {
    readonly default: { readonly forbidden: readonly { readonly name: string }[] };
  };
  return config.forbidden.map(({ name }) => name);
};

const importing = (specifier: string): string =>
  `import * as planted from '${specifier}';\nexport const p = planted;\n`;

describe('with a violation of every rule planted', () => {
  let violations: ReadonlySet<string>;

  let dir: string;

  afterAll(() => rm(dir, { recursive: true, force: true }));

  beforeAll(async () => {
    dir = await makeTempDir();
    for (const part of ['src', 'test/support', 'package.json', '.dependency-cruiser.mjs']) {
      await cp(join(REPO_DIR, part), join(dir, part), { recursive: true });
    }
    await symlink(join(REPO_DIR, 'node_modules'), join(dir, 'node_modules'));
    await writeFile(join(dir, 'src/core/planted-b.ts'), importing('./planted-a.ts'));
    for (const [file, specifier] of Object.values(PLANTS)) {
      await mkdir(dirname(join(dir, file)), { recursive: true });
      await writeFile(join(dir, file), importing(specifier));
    }
    const { summary } = await cruise(dir);
    violations = new Set(summary.violations.map(({ rule, from }) => `${rule.name} ${from}`));
  });

  test.each(Object.entries(PLANTS))('%s fires', (rule, [file]) => {
    expect([...violations]).toContain(`${rule} ${file}`);
  });

  test('no rule is without a plant', async () => {
    const rules = await ruleNames();
    expect(rules.filter((name) => PLANTS[name] === undefined)).toEqual([]);
    expect(Object.keys(PLANTS).filter((name) => !rules.includes(name))).toEqual([]);
  });
});

test('types count as imports', async () => {
  const dir = await tempDir();
  await cp(join(REPO_DIR, '.dependency-cruiser.mjs'), join(dir, '.dependency-cruiser.mjs'));
  for (const [file, text] of [
    ['src/daemon/thing.ts', 'export interface Thing { readonly a: 1 }\n'],
    [
      'src/core/planted.ts',
      "import type { Thing } from '../daemon/thing.ts';\nexport const t: Thing = { a: 1 };\n",
    ],
  ] as const) {
    await mkdir(dirname(join(dir, file)), { recursive: true });
    await writeFile(join(dir, file), text);
  }
  const { summary } = await cruise(dir);
  expect(summary.violations.map(({ rule }) => rule.name)).toEqual(['core-is-the-ground']);
});

test('the sources break no rule, and the checker saw every one of them', async () => {
  const { modules, summary } = await cruise(REPO_DIR);
  const seen = new Set(modules.map(({ source }) => source));
  const sources: string[] = [];
  for await (const source of glob('src/**/*.ts', { cwd: REPO_DIR })) sources.push(source);
  expect(sources.length).toBeGreaterThan(100);
  expect(sources.filter((source) => !seen.has(source))).toEqual([]);
  expect(summary.violations.map(({ rule, from }) => `${rule.name} ${from}`)).toEqual([]);
});
