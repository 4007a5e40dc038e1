/** The file operations that durable state is made of, as a port: a test's disk can fail or lose power at each of them. */
import { mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';

/** A file open for writing. */
export interface DiskFile {
  /** Writes all bytes at the file's position (append files: at the end). */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when what was written survives a power cut. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Rejects with Node's system errors (`code: 'ENOSPC'`). */
export interface Disk {
  read(path: string): Promise<Uint8Array>;
  /** Opens a file that must not exist yet. */
  create(path: string, mode: number): Promise<DiskFile>;
  /** Opens a file for appending, creating it when missing. */
  append(path: string, mode: number): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  list(dir: string): Promise<readonly string[]>;
  /** Creates the folder and its parents; no error when it is there. */
  mkdir(dir: string, mode: number): Promise<void>;
  /** Makes renames, creations and removals in the folder durable. */
  syncDir(dir: string): Promise<void>;
}

const openForWriting = async (path: string, flags: 'wx' | 'a', mode: number): Promise<DiskFile> => {
  const handle = await open(path, flags, mode);
  return {
    write: (bytes) => handle.writeFile(bytes),
    sync: () => handle.sync(),
    close: () => handle.close(),
  };
};

/** The real one. */
export const nodeDisk: Disk = {
  read: (path) => readFile(path),
  create: (path, mode) => openForWriting(path, 'wx', mode),
  append: (path, mode) => openForWriting(path, 'a', mode),
  rename,
  unlink,
  list: (dir) => readdir(dir),
  mkdir: async (dir, mode) => {
    await mkdir(dir, { recursive: true, mode });
  },
  syncDir: async (dir) => {
    const handle = await open(dir, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

/** Node's error code of a failed file operation, or `EUNKNOWN`. */
export const errnoOf = (error: unknown): string => {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : 'EUNKNOWN';
};
