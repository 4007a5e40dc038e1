/**
 * The moments of sent requests in a small file, so that several command lines of one user on one machine stay below
 * the account's limit together. Nothing in it is secret: times only, under a name made of a hash.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { withFileLock } from '../file-lock.ts';
import { createMemoryRateStore, type RateStore } from './limiter.ts';
import type { Grant } from './rate-window.ts';

/** The file for one account: by URL and key, as the limit is the account's. */
export const sharedRateFile = (
  env: Readonly<Record<string, string | undefined>>,
  url: string,
  key: string,
): string => {
  const base = env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local', 'state');
  const print = createHash('sha256').update(`${url}\n${key}`).digest('hex').slice(0, 16);
  return join(base, 'lockkeeper', `api-rate-${print}.json`);
};

const readTimes = async (path: string): Promise<readonly number[]> => {
  try {
    const json: unknown = JSON.parse(await readFile(path, 'utf8'));
    return Array.isArray(json) ? json.filter((at): at is number => Number.isFinite(at)) : [];
  } catch {
    return [];
  }
};

/** Where the file cannot be written, the process counts alone: a limit that stops the work would be worse. */
export const createSharedRateStore = (path: string): RateStore => {
  let own: RateStore | null = null;
  return {
    async change(change) {
      if (own !== null) return own.change(change);
      let result: Grant | null = null;
      try {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        return await withFileLock(`${path}.lock`, async () => {
          const next = change(await readTimes(path));
          result = next;
          // Not made durable: after a power cut the window is over anyway.
          const temp = `${path}.${process.pid}`;
          await writeFile(temp, JSON.stringify(next.times), { mode: 0o600 });
          await rename(temp, path);
          return next;
        });
      } catch {
        own = createMemoryRateStore();
        return result ?? own.change(change);
      }
    },
  };
};
