/**
 * Keeps two daemons out of one folder. The holder listens on a unix socket in it, so the kernel knows whether it lives:
 * nothing to clean up after kill -9, and it works across containers that share the folder, where process ids do not.
 */
import { createHash, randomBytes } from 'node:crypto';
import { link, open, realpath, rename, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { errnoOf } from './disk.ts';

const LOCK_NAME = '.lock.sock';
const TEMP_PREFIX = '.lock-';
const ROUNDS = 5;

/** Lets go of the folder. */
export type ReleaseLock = () => Promise<void>;

/** True for a socket that a crash in the middle of locking may have left. */
export const isLockLeftover = (name: string): boolean => name.startsWith(TEMP_PREFIX);

const listen = (path: string): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen(path, () => {
      server.removeListener('error', reject);
      // A lock must not keep a process alive.
      server.unref();
      resolve(server);
    });
  });

const close = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
  });

/** Whether somebody listens there. Only a refusal or a missing file says no. */
const isAlive = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => resolve(!['ECONNREFUSED', 'ENOENT'].includes(errnoOf(error))));
  });

const quietly = async (work: Promise<unknown>): Promise<void> => {
  await work.catch(() => undefined);
};

const freshName = (): string => `${TEMP_PREFIX}${process.pid}-${randomBytes(6).toString('hex')}.sock`;

/** Moves a dead holder's socket away. False when it turns out to be alive: then it is put back. */
export const clearStale = async (base: string): Promise<boolean> => {
  const lockPath = join(base, LOCK_NAME);
  const aside = join(base, freshName());
  try {
    await rename(lockPath, aside);
  } catch {
    return true;
  }
  // Between the look and the rename another starter may have cleared it and taken its place.
  const wasAlive = await isAlive(aside);
  if (wasAlive) await quietly(link(aside, lockPath));
  await quietly(unlink(aside));
  return !wasAlive;
};

const lockBySocket = async (base: string, dir: string): Promise<ReleaseLock | undefined> => {
  const lockPath = join(base, LOCK_NAME);
  const ownName = freshName();
  const server = await listen(join(base, ownName));
  try {
    for (let round = 0; round < ROUNDS; round++) {
      try {
        // A link fails when the name is taken, in one step; listening on the name itself would not tell dead from alive.
        await link(join(base, ownName), lockPath);
        await unlink(join(base, ownName));
        return async () => {
          await quietly(unlink(join(dir, LOCK_NAME)));
          await close(server);
        };
      } catch (error) {
        // Whoever has the folder tidies it up, and may have taken this one's unlinked socket for a leftover.
        if (errnoOf(error) === 'ENOENT') break;
        if (errnoOf(error) !== 'EEXIST') throw error;
      }
      if (await isAlive(lockPath)) break;
      if (!(await clearStale(base))) break;
    }
  } catch (error) {
    await close(server);
    throw error;
  }
  await quietly(unlink(join(base, ownName)));
  await close(server);
  return undefined;
};

/** For file systems without sockets or links: a name in the kernel, of this network namespace only. */
const lockByName = async (dir: string): Promise<ReleaseLock | undefined> => {
  const digest = createHash('sha256')
    .update(await realpath(dir))
    .digest('hex');
  try {
    const server = await listen(`\0lockkeeper-${digest.slice(0, 32)}`);
    return () => close(server);
  } catch (error) {
    if (errnoOf(error) === 'EADDRINUSE') return undefined;
    throw error;
  }
};

const WITHOUT_SOCKETS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENOSYS', 'EMLINK', 'EACCES'];

/** Takes the folder; undefined when another process has it. Rejects with a system error when no way to lock works. */
export const lockDir = async (dir: string): Promise<ReleaseLock | undefined> => {
  const handle = await open(dir, 'r');
  try {
    // A socket's path must be short; through the descriptor the folder's own may have any length.
    return await lockBySocket(process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : dir, dir);
  } catch (error) {
    if (process.platform !== 'linux' || !WITHOUT_SOCKETS.includes(errnoOf(error))) throw error;
    return await lockByName(dir);
  } finally {
    await handle.close();
  }
};
