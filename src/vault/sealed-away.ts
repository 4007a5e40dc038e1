/** A vault that was encrypted under a key that is not at hand: it is left alone until there is something better to keep. */
import { join } from 'node:path';
import { type Disk, nodeDisk } from './disk.ts';
import { setAside } from './set-aside.ts';
import { decodeSlot } from './slot-file.ts';
import type { StateCipher } from './state-cipher.ts';

export interface SealedFiles {
  /** Renames them, so that others can take their place; the newest few are kept. */
  setAside(): Promise<void>;
}

type Found = 'open' | 'sealed' | 'none';

/**
 * The undamaged encrypted copies that `cipher` cannot open, if there is no copy that can be read; undefined when there
 * is nothing to spare.
 */
export const findSealedAway = async (
  paths: readonly string[],
  cipher: StateCipher | undefined,
  disk: Disk = nodeDisk,
): Promise<SealedFiles | undefined> => {
  const look = async (path: string): Promise<Found> => {
    try {
      const content = decodeSlot(await disk.read(path));
      if (content === undefined) return 'none';
      const stored: unknown = JSON.parse(content.json);
      if (typeof stored !== 'string') return 'open';
      return cipher?.open(stored) === undefined ? 'sealed' : 'open';
    } catch {
      return 'none';
    }
  };
  const found = await Promise.all(paths.map(async (path) => ({ path, state: await look(path) })));
  if (found.some(({ state }) => state === 'open')) return undefined;
  const sealed = found.filter(({ state }) => state === 'sealed').map(({ path }) => path);
  if (sealed.length === 0) return undefined;
  return {
    setAside: async () => {
      for (const path of sealed) await setAside(path, disk);
    },
  };
};

/** The two files of a store. */
export const copiesOf = (dir: string, name: string): readonly string[] =>
  [0, 1].map((slot) => join(dir, `${name}.${slot}.json`));
