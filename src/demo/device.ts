/** The device of the demo: the real `lockkeeperd` as a child process, and everything that it starts. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const DAEMON = fileURLToPath(new URL('../lockkeeperd.ts', import.meta.url));
const LOG_TAIL_LINES = 15;
/** Longer than the configured drain. */
const STOP_MS = 10_000;

export interface Device {
  readonly pid: number;
  /** The last lines that it logged, for a failure. */
  log(): readonly string[];
  /** Rejects when the daemon ends while nobody asked it to. */
  readonly crashed: Promise<never>;
  /** SIGTERM; the exit code. What does not end in time is killed. */
  stop(): Promise<number | null>;
  /** Kills daemon and tunnel processes at once; for the end of this process. */
  killNow(): void;
}

/** A setting for the machine's own daemon must not reach this one. */
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LOCKKEEPER_')));

/** Process ids of the tunnel processes that have files in `runDir` and run. */
const tunnelsOf = (runDir: string): readonly number[] => {
  try {
    return readdirSync(runDir)
      .filter((name) => name.endsWith('.pid'))
      .map((name) => Number(readFileSync(join(runDir, name), 'latin1')))
      .filter((pid) => pid > 1 && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(runDir));
  } catch {
    // No folder yet, or a process that went away while we looked.
    return [];
  }
};

const killQuietly = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
};

/** `lockkeeperd --init`: makes the device's key and gives what it prints. */
export const initDevice = (configFile: string): Promise<string> =>
  new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [DAEMON, '--init', '--config', configFile],
      { env: environment() },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(stderr.trim() || error.message));
      },
    );
  });

/** @param stateDir the configuration's; its tunnel processes are found there when the daemon can no longer end them */
export const startDevice = (configFile: string, stateDir: string): Device => {
  const child: ChildProcess = spawn(process.execPath, [DAEMON, '--config', configFile], {
    env: environment(),
    // In a group of its own: Ctrl-C is for the demo, which then ends the daemon in order.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      lines.push(...chunk.split('\n').filter((line) => line !== ''));
      lines.splice(0, Math.max(0, lines.length - LOG_TAIL_LINES));
    });
  }
  let isAsked = false;
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('exit', resolve);
  });
  const crashed = new Promise<never>((_, reject) => {
    void ended.then((code) => {
      if (!isAsked) reject(new Error(`lockkeeperd ended by itself (exit code ${code ?? 'none'})`));
    });
  });
  crashed.catch(() => undefined);
  const runDir = join(stateDir, 'run');
  const killNow = (): void => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    for (const pid of tunnelsOf(runDir)) killQuietly(pid);
  };

  return {
    pid: child.pid ?? -1,
    log: () => lines,
    crashed,
    async stop() {
      isAsked = true;
      child.kill('SIGTERM');
      const timeout = new AbortController();
      await Promise.race([
        ended,
        delay(STOP_MS, undefined, { signal: timeout.signal }).catch(() => undefined),
      ]);
      timeout.abort();
      killNow();
      return ended;
    },
    killNow,
  };
};
