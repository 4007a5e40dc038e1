/**
 * Everything that must hold before a change lands, one after the other: `npm test`. A step that fails does not stop
 * the next ones. The last line is `N passed, N failed` over all tests; a failed step that has no tests counts as one.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** True for a step of vitest, which writes its numbers into a file. */
  readonly hasTests?: boolean;
}

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

const root = fileURLToPath(new URL('..', import.meta.url));
/** A step that hangs is ended, so that the ones after it still tell something. */
const STEP_DEADLINE_MS = 20 * 60_000;

const tests = (project: string, ...options: readonly string[]): Step => ({
  name: `${project} tests`,
  command: ['vitest', 'run', '--project', project, ...options],
  hasTests: true,
});

const STEPS: readonly Step[] = [
  { name: 'format and lint', command: ['biome', 'check', '--error-on-warnings', '.'] },
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'import rules', command: ['depcruise', '--config', '.dependency-cruiser.mjs', 'src'] },
  { name: 'unused code', command: ['knip', '--no-config-hints'] },
  { name: 'reference page', command: ['node', 'docs/configuration-page.ts', '--check'] },
  { name: 'bundles', command: ['node', 'build.ts'] },
  tests('unit'),
  tests('integration', '--maxWorkers=2'),
  tests('system', '--maxWorkers=2'),
  tests('containers'),
];

/** The steps find their programs whether npm started this file or a person did. */
const env: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}`,
};
// A setting of the machine's own daemon must not reach the tests.
for (const name of Object.keys(env)) if (name.startsWith('LOCKKEEPER_')) delete env[name];

/** Runs one command with its output passed through; true when it ended with 0. */
const run = ([file, ...args]: readonly [string, ...string[]]): Promise<boolean> =>
  new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: root,
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
      timeout: STEP_DEADLINE_MS,
      killSignal: 'SIGKILL',
    });
    child.once('error', (error) => {
      process.stdout.write(`${error.message}\n`);
      resolve(false);
    });
    child.once('close', (code) => resolve(code === 0));
  });

/** What vitest counted; nothing when it could not even write its report. */
const readCounts = async (report: string): Promise<Counts> => {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(await readFile(report, 'utf8')) as {
      readonly numPassedTests: number;
      readonly numFailedTests: number;
    };
    return { passed: numPassedTests, failed: numFailedTests };
  } catch {
    return { passed: 0, failed: 0 };
  }
};

const runStep = async (
  { name, command, hasTests }: Step,
  report: string,
): Promise<Counts & { isGood: boolean }> => {
  process.stdout.write(`\n== ${name}\n`);
  const startedAt = performance.now();
  const isGood = await run(
    hasTests ? [...command, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`] : command,
  );
  const { passed, failed } = hasTests ? await readCounts(report) : { passed: 0, failed: 0 };
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`== ${name}: ${isGood ? 'good' : 'FAILED'} after ${seconds} s\n`);
  return { isGood, passed, failed: isGood ? failed : Math.max(1, failed) };
};

const dir = await mkdtemp(join(tmpdir(), 'lockkeeper-test-'));
const total = { passed: 0, failed: 0 };
const broken: string[] = [];
for (const [index, step] of STEPS.entries()) {
  const { isGood, passed, failed } = await runStep(step, join(dir, `${index}.json`));
  total.passed += passed;
  total.failed += failed;
  if (!isGood) broken.push(step.name);
}
await rm(dir, { recursive: true, force: true });
if (broken.length > 0) process.stdout.write(`\nfailed: ${broken.join(', ')}\n`);
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed === 0 ? 0 : 1;
