/** A state folder on a disk of its own, small enough to be filled and free to be made read-only. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { type Device, isAlive } from './device.ts';
import { waitFor } from './wait-for.ts';

const run = promisify(execFile);

export interface SmallDisk {
  /** Writes until nothing more goes in. */
  fill(): Promise<void>;
  /** Takes away what `fill` wrote. */
  makeRoom(): Promise<void>;
  remount(how: 'ro' | 'rw'): Promise<void>;
  /** Puts the sockets and notes of tunnel processes on another disk. Closes everything for it, by the lock. */
  mountRunDir(): Promise<void>;
  unmountRunDir(): Promise<void>;
}

/** Why there can be no disk of our own here; null when there can. */
export const whyNoDisk = (): string | null => {
  const dir = mkdtempSync(join(tmpdir(), 'lockkeeper-mount-'));
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', dir], { stdio: 'pipe' });
    execFileSync('/bin/umount', [dir], { stdio: 'pipe' });
    return null;
  } catch (error) {
    return `mounting is not permitted here: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    rmdirSync(dir);
  }
};

const BLOCKS = [65_536, 4096, 512];

/** Mounts it where a device that was not started yet keeps its state. It goes with the test, after all that uses it. */
export const mountSmallDisk = async (device: Device): Promise<SmallDisk> => {
  const ballast = join(device.stateDir, 'ballast');
  const runDir = join(device.stateDir, 'run');
  const mounted: string[] = [];
  const mount = async (dir: string): Promise<void> => {
    await run('/bin/mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'tmpfs', dir]);
    mounted.push(dir);
  };
  const unmountLast = async (): Promise<void> => {
    const dir = mounted.pop();
    if (dir !== undefined) await run('/bin/umount', [dir]);
  };
  await mount(device.stateDir);
  onTestFinished(async () => {
    // On a full disk a tunnel may not have been able to note its id.
    const told = await device.status().then(
      ({ tunnels }) => tunnels.map(({ pid }) => pid),
      () => [],
    );
    const pids = new Set([device.daemon().pid, ...told, ...(await device.tunnelPids())]);
    for (const pid of [...pids].filter(isAlive)) {
      process.kill(pid, 'SIGKILL');
      await waitFor(() => !isAlive(pid), { what: `the end of process ${pid}` });
    }
    while (mounted.length > 0) await unmountLast();
  });
  return {
    fill: async () => {
      const file = await open(ballast, 'a');
      for (const size of BLOCKS) {
        const block = Buffer.alloc(size, 0x61);
        while (
          await file.write(block).then(
            () => true,
            () => false,
          )
        );
      }
      await file.close();
    },
    makeRoom: () => rm(ballast),
    remount: async (how) => {
      await run('/bin/mount', ['-o', `remount,${how}`, device.stateDir]);
    },
    mountRunDir: async () => {
      await device.until((s) => s.session.state === 'connected', 'the session is up');
      await device.post('/v1/lock');
      await device.until((s) => s.tunnels.length === 0, 'no tunnel is left');
      await mount(runDir);
      await device.post('/v1/unlock');
    },
    unmountRunDir: unmountLast,
  };
};
