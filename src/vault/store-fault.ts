/** File system errors as faults: the path and the reason in words, never the content. */
import { type Fault, fault } from '../core/errors.ts';
import { errnoOf } from './disk.ts';

const WORDS: Readonly<Record<string, string>> = {
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left',
  EDQUOT: 'the disk quota is used up',
  EACCES: 'permission is denied',
  EPERM: 'the operation is not permitted',
  EBUSY: 'the path is a mount point, mount its folder instead',
  EIO: 'the disk reports an error',
  ENOENT: 'the folder is missing',
  ENOTDIR: 'a part of the path is not a folder',
  EMFILE: 'too many files are open',
};

/** The `STORE_FAILED` fault of a failed write. Retryable: disks get space and mounts come back. */
export const storeFault = (path: string, error: unknown): Fault => {
  const code = errnoOf(error);
  return fault('STORE_FAILED', `cannot write ${path}: ${WORDS[code] ?? 'the write failed'} (${code})`, true);
};
