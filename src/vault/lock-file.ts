/** The local break-glass: while the file exists the device is locked, whoever made it: the CLI, a person, a key switch. */
import { access, open, rm } from 'node:fs/promises';
import { failed, ok, type Result } from '../core/errors.ts';
import { storeFault } from './store-fault.ts';

export interface LockFile {
  isLocked(): Promise<boolean>;
  lock(): Promise<Result<void>>;
  unlock(): Promise<Result<void>>;
}

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
