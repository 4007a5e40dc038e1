/** Before the container tests: a Docker daemon, the images, and two versions of the package. */
import { spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { makeBaseImage, makeLockkeeperImage, makeNpmImage, ROOT, run } from './support/images.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Why there are no containers; empty when there are. */
    readonly noDocker: string;
    /** Folder with packages and archives of the versions 1.0.0 and 1.0.1. */
    readonly packagesDir: string;
  }
}

/** Starts the daemon where there is none; the id of the process, or why there can be none. */
const startDocker = (): Promise<{ readonly pid: number | null } | string> =>
  new Promise((resolve) => {
    const child = spawn(join(ROOT, 'test/containers/start-docker'), { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', (error) => resolve(error.message));
    // `exit`, not `close`: a daemon that was started may hold the pipes.
    child.once('exit', (code) => {
      if (code !== 0) resolve(stderr.trim());
      else resolve({ pid: stdout.trim() === '' ? null : Number(stdout) });
    });
  });

/** Called by vitest once, before the first file. */
export const setup = async ({ provide }: TestProject): Promise<() => Promise<void>> => {
  const packagesDir = join(ROOT, 'node_modules/.cache/lockkeeper/test-packages');
  provide('packagesDir', packagesDir);
  const docker = await startDocker();
  if (typeof docker === 'string') {
    if (process.env['CI'] === 'true') throw new Error(`The container tests cannot run: ${docker}`);
    process.stderr.write(`\n*** THE CONTAINER TESTS ARE SKIPPED: ${docker}\n\n`);
    provide('noDocker', docker);
    return () => Promise.resolve();
  }
  provide('noDocker', '');
  await makeBaseImage();
  await rm(packagesDir, { recursive: true, force: true });
  await mkdir(packagesDir, { recursive: true });
  for (const version of ['1.0.0', '1.0.1'])
    await run(
      process.execPath,
      'packaging/deb.ts',
      ...['--arch', process.arch, '--compression', 'none', '--version', version],
      ...['--out', packagesDir],
    );
  await makeNpmImage();
  await makeLockkeeperImage();
  return async () => {
    if (docker.pid !== null) process.kill(docker.pid, 'SIGTERM');
  };
};
