/** The local break-glass: while the file exists the device is locked, whoever made it: the CLI, a person, a key switch. */
import { access, open, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { type Fault, failed, fault, ok, type Result } from '../core/errors.ts';
import { mountedNamesIn } from './mounted-files.ts';
import { storeFault } from './store-fault.ts';

export interface LockFile {
  isLocked(): Promise<boolean>;
  lock(): Promise<Result<void>>;
  unlock(): Promise<Result<void>>;
}

/** A lock that is itself a mount could never be taken away: said at the start, not at the first `unlock`. */
export const checkLockFile = async (path: string): Promise<Fault | null> =>
  (await mountedNamesIn(dirname(path))).includes(basename(path))
    ? fault(
        'STORE_FAILED',
        `lockFile ${path} is a mount of its own and cannot be removed, mount its folder instead`,
        false,
      )
    : null;

export const createLockFile = (path: string): LockFile => ({
  isLocked: () =>
    access(path).then(
      () => true,
      () => false,
    ),
  lock: async () => {
    try {
      const file = await open(path, 'a', 0o600);
      await file.sync();
      await file.close();
      return ok(undefined);
    } catch (error) {
      return failed(storeFault(path, error));
    }
  },
  unlock: async () => {
    try {
      await rm(path, { force: true });
      return ok(undefined);
    } catch (error) {
      return failed(storeFault(path, error));
    }
  },
});
