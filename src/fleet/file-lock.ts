/**
 * A short lock between command lines that change one folder. Held for milliseconds, so waiting is by trying again; a
 * holder that died is recognised by its process, on another machine by the age of its file.
 */
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fault, LockkeeperError } from '../core/errors.ts';

const TRIES = 400;
const WAIT_MS = 25;
const STALE_MS = 60_000;

const isLiving = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
};

const quietly = (work: Promise<unknown>): Promise<unknown> => work.catch(() => undefined);

/**
 * True when the lock was taken; false when somebody has it. It appears with its content or not at all: a program that
 * is killed in between leaves no lock that names nobody.
 */
const tryLock = async (path: string, mark: string): Promise<boolean> => {
  const own = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(own, mark, { mode: 0o600, flag: 'wx' });
    await link(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await quietly(unlink(own));
  }
};

/** Whether the holder is surely gone. An unreadable or empty file is somebody just about to write it, until it is old. */
const isStale = async (path: string): Promise<boolean> => {
  try {
    const [content, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    const [pid, host] = content.split(' ');
    if (host === hostname() && /^\d+$/.test(pid ?? '')) return !isLiving(Number(pid));
    return Date.now() - mtimeMs > STALE_MS;
  } catch {
    return false;
  }
};

const lockAndRun = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
  const mark = `${process.pid} ${hostname()} ${randomBytes(8).toString('hex')}`;
  for (let i = 0; i < TRIES; i += 1) {
    if (await tryLock(path, mark)) {
      try {
        return await work();
      } finally {
        // Not if it was taken for stale meanwhile and is somebody else's now.
        if ((await quietly(readFile(path, 'utf8'))) === mark) await quietly(unlink(path));
      }
    }
    if (await isStale(path)) {
      const aside = `${path}.${randomBytes(6).toString('hex')}`;
      await quietly(rename(path, aside));
      await quietly(unlink(aside));
    } else await delay(WAIT_MS * (0.5 + Math.random()));
  }
  throw new LockkeeperError(fault('STORE_FAILED', `Another program keeps ${path}.`, true));
};

/** What this process does under each lock, the newest last. Hundreds that try the file again and again hinder each other. */
const lines = new Map<string, Promise<unknown>>();

/**
 * Runs `work` while nobody else has the lock; within this process in the order of the calls. Rejects with `STORE_FAILED`
 * when another program keeps it for ten seconds.
 */
export const withFileLock = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
  const mine = (lines.get(path) ?? Promise.resolve()).then(() => lockAndRun(path, work));
  const settled = quietly(mine);
  lines.set(path, settled);
  try {
    return await mine;
  } finally {
    if (lines.get(path) === settled) lines.delete(path);
  }
};
