/** Replaces a file so that a power cut leaves the old content or the new, never a part. */
import { basename, dirname, join } from 'node:path';
import { type Disk, type DiskFile, nodeDisk } from './disk.ts';

/** Only the service's user reads its state. */
export const FILE_MODE = 0o600;

const TEMP_PREFIX = '.tmp-';
let temps = 0;

/** True for the name of a temporary file that a crash may have left. */
export const isTempName = (name: string): boolean => name.startsWith(TEMP_PREFIX);

// In the same folder, as a rename does not cross file systems; with a number, as an old one may be in the way.
const tempFor = (path: string): string =>
  join(dirname(path), `${TEMP_PREFIX}${process.pid}-${temps++}-${basename(path)}`);

const writeSynced = async (file: DiskFile, bytes: Uint8Array): Promise<void> => {
  try {
    await file.write(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
};

/**
 * Writes a temporary file, makes it durable, renames it over `path`, makes the folder durable. Rejects with the system
 * error; then `path` holds the old content, or the new one if only the last step failed.
 */
export const writeFileAtomic = async (
  path: string,
  content: string | Uint8Array,
  disk: Disk = nodeDisk,
  mode: number = FILE_MODE,
): Promise<void> => {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const temp = tempFor(path);
  try {
    await writeSynced(await disk.create(temp, mode), bytes);
    await disk.rename(temp, path);
  } catch (error) {
    await disk.unlink(temp).catch(() => undefined);
    throw error;
  }
  await disk.syncDir(dirname(path));
};
