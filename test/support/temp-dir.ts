import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Makes an empty folder of its own and removes it, with all in it, when the running test ends. */
export const tempDir = async (prefix = 'lockkeeper-'): Promise<string> => {
  const dir = await makeTempDir(prefix);
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
};

/** For hooks and helpers outside a test: the caller removes the folder. */
export const makeTempDir = (prefix = 'lockkeeper-'): Promise<string> => mkdtemp(join(tmpdir(), prefix));
