/** The disk as one life of the device sees it: every operation is a place where that life may end. */
import type { Disk, DiskFile } from '../../src/vault/disk.ts';
import type { MemoryDisk } from './memory-disk.ts';

export interface CutDiskOptions {
  readonly disk: MemoryDisk;
  isOver(): boolean;
  /** Called before each operation, with its name; true when the life ends in it. */
  pass(what: string): boolean;
  /** The life ends, but not the machine: whether the system call that was under way has its effect. */
  isDoneAnyway(): boolean;
}

/** What a process that is gone waits for. */
export const never = (): Promise<never> => new Promise(() => undefined);

export const cutDisk = ({ disk, isOver, pass, isDoneAnyway }: CutDiskOptions): Disk => {
  const step = async <T>(what: string, operation: () => Promise<T>): Promise<T> => {
    if (isOver()) return never();
    if (pass(what)) {
      // With the power gone the disk itself tears the operation or refuses it.
      if (isDoneAnyway()) await operation().catch(() => undefined);
      return never();
    }
    const done = await operation();
    return isOver() ? never() : done;
  };
  const file = (opened: DiskFile, path: string): DiskFile => ({
    write: (bytes) => step(`write ${path}`, () => opened.write(bytes)),
    sync: () => step(`fsync ${path}`, () => opened.sync()),
    close: () => opened.close(),
  });
  return {
    read: (path) => step(`read ${path}`, () => disk.read(path)),
    create: (path, mode) => step(`create ${path}`, async () => file(await disk.create(path, mode), path)),
    append: (path, mode) => step(`append ${path}`, async () => file(await disk.append(path, mode), path)),
    rename: (from, to) => step(`rename ${to}`, () => disk.rename(from, to)),
    unlink: (path) => step(`unlink ${path}`, () => disk.unlink(path)),
    list: (dir) => step(`list ${dir}`, () => disk.list(dir)),
    mkdir: (dir, mode) => step(`mkdir ${dir}`, () => disk.mkdir(dir, mode)),
    syncDir: (dir) => step(`fsync of the folder ${dir}`, () => disk.syncDir(dir)),
  };
};
