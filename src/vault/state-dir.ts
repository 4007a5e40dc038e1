/** The folder that holds everything durable: made, tried, locked, tidied. */
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type Fault, failed, fault, ok, type Result } from '../core/errors.ts';
import { isTempName, writeFileAtomic } from './atomic-file.ts';
import { isLockLeftover, lockDir } from './dir-lock.ts';
import { type Disk, errnoOf, nodeDisk } from './disk.ts';
import { mountedNamesIn } from './mounted-files.ts';
import { storeFault } from './store-fault.ts';

const DIR_MODE = 0o700;
const PROBE_NAME = '.probe';

export interface StateDir {
  readonly path: string;
  /** The disk was full when the folder was opened: what is stored can be read, and nothing can be added. */
  readonly full: Fault | null;
  /** Writes, syncs and removes a probe: whether state can be stored now. */
  writable(): Promise<Result<void>>;
  /** Lets another daemon have the folder; part of an orderly end and of a hand-over. */
  release(): Promise<void>;
}

export interface StateDirOptions {
  readonly disk?: Disk;
  /** Names inside the folder that may be mounted single files, as they are never replaced. */
  readonly mayBeMounted?: readonly string[];
}

/** This process's user for messages: name and number. */
const whoami = (): string => {
  const uid = process.getuid?.() ?? -1;
  try {
    return `${userInfo().username} (uid ${uid})`;
  } catch {
    return `uid ${uid}`;
  }
};

const unusable = (path: string, reason: string, retryable = false): Fault =>
  fault('STORE_FAILED', `stateDir ${path} cannot be used by ${whoami()}: ${reason}`, retryable);

const FULL = ['ENOSPC', 'EDQUOT'];

const probe = async (
  path: string,
  disk: Disk,
): Promise<{ readonly fault: Fault; readonly isFull: boolean } | null> => {
  const file = join(path, PROBE_NAME);
  try {
    await writeFileAtomic(file, `${process.pid}\n`, disk);
    await disk.unlink(file);
    return null;
  } catch (error) {
    return { fault: storeFault(file, error), isFull: FULL.includes(errnoOf(error)) };
  }
};

/** Files that a crash left half done. What cannot be removed does no harm. */
const tidy = async (path: string, disk: Disk): Promise<void> => {
  const names = await disk.list(path).catch(() => []);
  for (const name of names.filter((n) => isTempName(n) || isLockLeftover(n))) {
    await disk.unlink(join(path, name)).catch(() => undefined);
  }
};

/**
 * Opens the folder for this process alone. Every fault is `STORE_FAILED` and names path and user: the folder cannot be
 * made or written, another daemon has it (the only one that is `retryable`: during a hand-over it soon lets go), or one
 * of its files is a mount. The program ends with 73 then. A full disk is no fault: a box that starts on one must be
 * reachable, for somebody to make room.
 */
export const openStateDir = async (
  path: string,
  { disk = nodeDisk, mayBeMounted = ['lock'] }: StateDirOptions = {},
): Promise<Result<StateDir>> => {
  try {
    await disk.mkdir(path, DIR_MODE);
  } catch (error) {
    return failed(unusable(path, storeFault(path, error).message));
  }
  const problem = await probe(path, disk);
  if (problem !== null && !problem.isFull) return failed(unusable(path, problem.fault.message));

  const mounted = (await mountedNamesIn(path)).filter((name) => !mayBeMounted.includes(name));
  const [first] = mounted;
  if (first !== undefined) {
    const reason = `${join(path, first)} is a mount of its own and cannot be replaced, mount the folder instead`;
    return failed(unusable(path, reason));
  }

  try {
    const release = await lockDir(path);
    if (release === undefined) return failed(unusable(path, 'another lockkeeperd is using it', true));
    await tidy(path, disk);
    const writable = async (): Promise<Result<void>> => {
      const found = await probe(path, disk);
      return found === null ? ok(undefined) : failed(found.fault);
    };
    return ok({ path, full: problem?.fault ?? null, writable, release });
  } catch (error) {
    return failed(unusable(path, `it cannot be locked (${errnoOf(error)})`));
  }
};
