import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { inject, onTestFinished } from 'vitest';

/** Root of the repository, with a slash at its end removed. */
export const REPO_DIR: string = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

export interface SpawnNodeOptions {
  readonly cwd?: string;
  /** Laid over the test's own environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Written to standard input, which is then closed; without it standard input is empty. */
  readonly stdin?: string;
  /** Arguments for node itself, before the script. */
  readonly nodeArgs?: readonly string[];
  /** False leaves the process to the caller instead of killing it when the test ends. */
  readonly autoKill?: boolean;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Everything printed so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves with the first line of either stream that matches, seen already or yet to come; rejects when the process ends first. */
  line(pattern: RegExp | string, deadlineMs?: number): Promise<string>;
  /** Sends a signal to this process alone. */
  kill(signal?: NodeJS.Signals): void;
  /** Resolves when the process has ended and both streams are read to their end. */
  readonly exit: Promise<Exit>;
}

/** Absent where no bundles were made: programs run from source then. */
const bundlesDir: string | undefined = inject('bundlesDir');

/** What one program has compiled spares the next most of its start. That of the bundles goes away with them. */
const COMPILE_CACHE =
  bundlesDir === undefined
    ? `${REPO_DIR}/node_modules/.cache/lockkeeper/compiled`
    : join(bundlesDir, '../compiled');

const BUNDLES: Readonly<Record<string, string>> = {
  'src/lockkeeper.ts': 'lockkeeper.js',
  'src/lockkeeperd.ts': 'lockkeeperd.js',
  'src/sandbox/main.ts': 'sandbox.js',
};

/** The script that node starts for one of the repository: the bundle of a program, where there is one. */
export const startable = (script: string): string => {
  const file = BUNDLES[script];
  return bundlesDir === undefined || file === undefined ? script : join(bundlesDir, file);
};

const childEnv = (over: SpawnNodeOptions['env']): NodeJS.ProcessEnv => {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    NODE_COMPILE_CACHE: COMPILE_CACHE,
    NO_COLOR: '1',
    ...over,
  };
  delete env['NODE_OPTIONS'];
  // The test runner's own marks would change what a program under test does.
  for (const name of Object.keys(env)) if (name.startsWith('VITEST') || name === 'NODE_ENV') delete env[name];
  delete env['FORCE_COLOR'];
  return env;
};

/**
 * Starts a script under the node that runs the tests. `script` is a path from the repository's root or an absolute
 * one; a program is started from its bundle where one was made. The process is killed when the test ends.
 */
export const spawnNode = (
  script: string,
  args: readonly string[] = [],
  options: SpawnNodeOptions = {},
): Running =>
  watch(
    spawn(process.execPath, [...(options.nodeArgs ?? []), startable(script), ...args], {
      cwd: options.cwd ?? REPO_DIR,
      env: childEnv(options.env),
      stdio: ['pipe', 'pipe', 'pipe'],
    }),
    options,
  );

/** Starts any other program in the same way. */
export const spawnProgram = (
  file: string,
  args: readonly string[] = [],
  options: Omit<SpawnNodeOptions, 'nodeArgs'> = {},
): Running =>
  watch(
    spawn(file, [...args], {
      cwd: options.cwd ?? REPO_DIR,
      env: childEnv(options.env),
      stdio: ['pipe', 'pipe', 'pipe'],
    }),
    options,
  );

/** Starts a script and resolves when it has ended. */
export const runNode = (script: string, args: readonly string[] = [], options: SpawnNodeOptions = {}) =>
  spawnNode(script, args, options).exit;

const watch = (child: ChildProcess, options: SpawnNodeOptions): Running => {
  const text = { stdout: '', stderr: '' };
  const lookers = new Set<() => void>();
  const exit = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...text }));
  });
  exit.then(
    () => look(),
    () => look(),
  );
  const look = (): void => {
    for (const looker of [...lookers]) looker();
  };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (chunk: string) => {
      text[stream] += chunk;
      look();
    });
  }
  // A program that ends without reading its input is not a failure of the test.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.stdin ?? '');

  const kill = (signal: NodeJS.Signals = 'SIGTERM'): void => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  };
  if (options.autoKill !== false) {
    onTestFinished(async () => {
      kill('SIGKILL');
      await exit.catch(() => undefined);
    });
  }

  const line: Running['line'] = (pattern, deadlineMs = 20_000) =>
    new Promise((resolve, reject) => {
      const matches = (candidate: string): boolean =>
        typeof pattern === 'string' ? candidate.includes(pattern) : pattern.test(candidate);
      const done = (settle: () => void): void => {
        lookers.delete(looker);
        clearTimeout(timer);
        settle();
      };
      const fail = (why: string): void =>
        done(() =>
          reject(
            new Error(`${why} before a line with ${pattern}\n${text.stdout}\n-- stderr --\n${text.stderr}`),
          ),
        );
      let ended = false;
      const looker = (): void => {
        const found = [text.stdout, text.stderr]
          .flatMap((all) => (ended ? all : all.slice(0, all.lastIndexOf('\n') + 1)).split('\n'))
          .map((candidate) => stripVTControlCharacters(candidate))
          .find(matches);
        if (found !== undefined) done(() => resolve(found));
        else if (ended) fail('the process ended');
      };
      const timer = setTimeout(() => fail(`${deadlineMs} ms passed`), deadlineMs);
      lookers.add(looker);
      const atEnd = (): void => {
        ended = true;
        looker();
      };
      exit.then(atEnd, atEnd);
      looker();
    });

  return {
    pid: child.pid ?? -1,
    child,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    line,
    kill,
    exit,
  };
};
