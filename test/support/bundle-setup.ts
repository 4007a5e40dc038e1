/** Before the integration tests: the programs as bundles, since hundreds of starts from source are most of the time. */
import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { bundle } from '../../packaging/bundle.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder with the bundles of the source as it is now; only in the projects that start programs from it. */
    readonly bundlesDir: string | undefined;
  }
}

// Below `node_modules`, where the bundles find the modules with native parts.
const PARENT = new URL('../../node_modules/.cache/lockkeeper/', import.meta.url).pathname;
const PREFIX = 'bundles-';

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** What runs that were killed have left behind. */
const removeStale = async (): Promise<void> => {
  for (const name of await readdir(PARENT)) {
    const [prefix, pid] = name.split('-');
    if (`${prefix}-` === PREFIX && !isRunning(Number(pid)))
      await rm(join(PARENT, name), { recursive: true, force: true });
  }
};

/** Called by vitest once, before the first file. Each run has a folder of its own: two may run side by side. */
export const setup = async ({ provide }: TestProject): Promise<() => Promise<void>> => {
  await mkdir(PARENT, { recursive: true });
  await removeStale();
  const dir = await mkdtemp(join(PARENT, `${PREFIX}${process.pid}-`));
  const outDir = join(dir, 'programs');
  await bundle({ outDir });
  // Some tests run the daemon as another user.
  await chmod(dir, 0o755);
  provide('bundlesDir', outDir);
  return () => rm(dir, { recursive: true, force: true });
};
