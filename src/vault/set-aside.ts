/** Keeps damaged files for whoever wants to know what happened, but only the newest few. */
import { basename, dirname, join } from 'node:path';
import type { Disk } from './disk.ts';

const KEPT = 3;

/** Renames `path` to `path.bad-N` and drops all but the newest three. Does its best: a full disk must not stop the start. */
export const setAside = async (path: string, disk: Disk): Promise<void> => {
  const dir = dirname(path);
  const prefix = `${basename(path)}.bad-`;
  try {
    const numbers = (await disk.list(dir))
      .filter((name) => name.startsWith(prefix))
      .map((name) => Number(name.slice(prefix.length)))
      .filter(Number.isSafeInteger)
      .sort((a, b) => a - b);
    await disk.rename(path, join(dir, `${prefix}${(numbers.at(-1) ?? 0) + 1}`));
    for (const old of numbers.slice(0, Math.max(0, numbers.length + 1 - KEPT))) {
      await disk.unlink(join(dir, `${prefix}${old}`));
    }
  } catch {
    // The repair that follows writes over the file.
  }
};
