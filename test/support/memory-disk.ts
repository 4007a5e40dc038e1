/**
 * A disk in memory that forgets what was not made durable. Each operation can be the one at which the power goes;
 * after that every operation fails until `powerOn`, which shows what a real disk might: only synced content, or
 * unsynced content empty, cut or zeroed, and folder entries as of the last folder sync or later.
 */
import { dirname } from 'node:path';
import type { Disk, DiskFile } from '../../src/vault/disk.ts';

/** What becomes of bytes that were written but not synced. */
export type Unsynced = 'kept' | 'empty' | 'half' | 'zeros';
/** What becomes of creations, renames and removals whose folder was not synced. */
export type UnsyncedEntries = 'kept' | 'undone';

interface Inode {
  bytes: Buffer;
  durable: Buffer;
}

const systemError = (code: string): Error => Object.assign(new Error(code), { code });

export class MemoryDisk implements Disk {
  /** Operations done so far. */
  operations = 0;
  #entries = new Map<string, Inode>();
  #durableEntries = new Map<string, Inode>();
  #failAt: number | undefined;
  #failure = 'EPOWER';
  #isOff = false;
  #isBroken: string | undefined;

  /** Cuts the power at the given operation, counted from now (0 is the next one). */
  failAt(operation: number): void {
    this.#failAt = this.operations + operation;
    this.#failure = 'EPOWER';
  }

  /** Makes every writing operation fail with this code; undefined heals the disk. */
  break(code: string | undefined): void {
    this.#isBroken = code;
  }

  get isOff(): boolean {
    return this.#isOff;
  }

  powerOn(unsynced: Unsynced, entries: UnsyncedEntries): void {
    this.#isOff = false;
    this.#failAt = undefined;
    if (entries === 'undone') this.#entries = new Map(this.#durableEntries);
    for (const inode of this.#entries.values()) {
      if (!inode.bytes.equals(inode.durable)) inode.bytes = damage(inode, unsynced);
      inode.durable = Buffer.from(inode.bytes);
    }
    this.#durableEntries = new Map(this.#entries);
  }

  /** Puts content in place as if it had always been there. */
  put(path: string, content: string | Uint8Array): void {
    const bytes = Buffer.from(content as string);
    const inode = { bytes, durable: Buffer.from(bytes) };
    this.#entries.set(path, inode);
    this.#durableEntries.set(path, inode);
  }

  paths(): readonly string[] {
    return [...this.#entries.keys()].sort((a, b) => (a < b ? -1 : 1));
  }

  text(path: string): string | undefined {
    return this.#entries.get(path)?.bytes.toString('utf8');
  }

  read(path: string): Promise<Uint8Array> {
    return this.#step(false, () => Buffer.from(this.#inode(path).bytes));
  }

  create(path: string, _mode: number): Promise<DiskFile> {
    return this.#step(true, () => {
      if (this.#entries.has(path)) throw systemError('EEXIST');
      return this.#open(path);
    });
  }

  append(path: string, _mode: number): Promise<DiskFile> {
    return this.#step(true, () => this.#open(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#step(true, () => {
      this.#entries.set(to, this.#inode(from));
      this.#entries.delete(from);
    });
  }

  unlink(path: string): Promise<void> {
    return this.#step(true, () => {
      this.#inode(path);
      this.#entries.delete(path);
    });
  }

  list(dir: string): Promise<readonly string[]> {
    return this.#step(false, () =>
      this.paths()
        .filter((path) => dirname(path) === dir)
        .map((path) => path.slice(dir.length + 1)),
    );
  }

  mkdir(_dir: string, _mode: number): Promise<void> {
    return this.#step(true, () => undefined);
  }

  syncDir(dir: string): Promise<void> {
    return this.#step(true, () => {
      for (const path of this.#durableEntries.keys()) {
        if (dirname(path) === dir && !this.#entries.has(path)) this.#durableEntries.delete(path);
      }
      for (const [path, inode] of this.#entries) {
        if (dirname(path) === dir) this.#durableEntries.set(path, inode);
      }
    });
  }

  #inode(path: string): Inode {
    const inode = this.#entries.get(path);
    if (inode === undefined) throw systemError('ENOENT');
    return inode;
  }

  #open(path: string): DiskFile {
    const inode = this.#entries.get(path) ?? { bytes: Buffer.alloc(0), durable: Buffer.alloc(0) };
    this.#entries.set(path, inode);
    return {
      write: (bytes) =>
        this.#step(
          true,
          () => {
            inode.bytes = Buffer.concat([inode.bytes, bytes]);
          },
          () => {
            inode.bytes = Buffer.concat([inode.bytes, bytes.subarray(0, bytes.length >> 1)]);
          },
        ),
      sync: () =>
        this.#step(true, () => {
          inode.durable = Buffer.from(inode.bytes);
        }),
      close: () => Promise.resolve(),
    };
  }

  async #step<T>(isWriting: boolean, effect: () => T, torn?: () => void): Promise<T> {
    await Promise.resolve();
    if (this.#isOff) throw systemError(this.#failure);
    if (this.operations++ === this.#failAt) {
      torn?.();
      this.#isOff = true;
      throw systemError(this.#failure);
    }
    if (isWriting && this.#isBroken !== undefined) throw systemError(this.#isBroken);
    return effect();
  }
}

const damage = ({ bytes, durable }: Inode, unsynced: Unsynced): Buffer => {
  switch (unsynced) {
    case 'kept':
      return bytes;
    case 'empty':
      return durable;
    case 'half':
      return bytes.subarray(0, Math.max(durable.length, bytes.length >> 1));
    case 'zeros':
      return Buffer.concat([durable, Buffer.alloc(Math.max(0, bytes.length - durable.length))]);
  }
};
