import { open, readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { TunnelId } from '../core/tunnel-event.ts';
import { errPath, pidPath } from './run-dir.ts';

const TAIL_BYTES = 2_048;

/** Names under which the entry of a tunnel process may run: from source, and in the bundle. */
const ENTRY_NAMES: readonly string[] = ['process.ts', 'tunnel-process.js'];

/** The last words of a process, at most 2 KB; empty when there are none. */
export const readLastWords = async (runDir: string, tunnel: TunnelId): Promise<string> => {
  try {
    const file = await open(errPath(runDir, tunnel), 'r');
    try {
      const { size } = await file.stat();
      const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
      await file.read(buffer, 0, buffer.length, size - buffer.length);
      return buffer.toString('utf8').trim();
    } finally {
      await file.close();
    }
  } catch {
    return '';
  }
};

/** Takes away what a process left in the folder. */
export const removeFiles = async (runDir: string, tunnel: TunnelId): Promise<void> => {
  const names = await readdir(runDir).catch(() => []);
  const own = names.filter((name) => name.startsWith(`${tunnel}.`));
  await Promise.all(own.map((name) => rm(join(runDir, name), { force: true }).catch(() => undefined)));
};

/** Ids of the processes that have files in the folder, oldest id first. */
export const tunnelsIn = async (runDir: string): Promise<readonly TunnelId[]> => {
  const names = await readdir(runDir).catch(() => []);
  const ids = names.flatMap((name) => /^(t\w+)\.(?:sock|pid|err|\d+\..+\.relay)$/.exec(name)?.[1] ?? []);
  return [...new Set(ids)].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
};

/** The process id a tunnel process wrote down; null when there is none. */
export const readPid = async (runDir: string, tunnel: TunnelId): Promise<number | null> => {
  const text = await readFile(pidPath(runDir, tunnel), 'latin1').catch(() => '');
  const pid = Number(text.trim());
  return Number.isSafeInteger(pid) && pid > 1 ? pid : null;
};

/** True when `pid` is a tunnel process of this folder with this id. False whenever that cannot be proved. */
export const isOurProcess = async (
  runDir: string,
  tunnel: TunnelId,
  pid: number,
  entry: string,
): Promise<boolean> => {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const args = commandLine.split('\0').filter((arg) => arg !== '');
  const [entryArg, dirArg, tunnelArg] = args.slice(-3);
  if (entryArg === undefined || dirArg !== runDir || tunnelArg !== tunnel) return false;
  return entryArg === entry || ENTRY_NAMES.includes(basename(entryArg));
};

/** True while a process with this id exists. A zombie counts as gone. */
export const isAlive = async (pid: number): Promise<boolean> => {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return !/^\d+ \(.*\) Z/s.test(stat);
};
