/** Whether the state folder can be written, and what waits to be. */
import { access, constants } from 'node:fs/promises';
import { type Fault, ok } from '../core/errors.ts';
import type { StateDir } from '../vault/state-dir.ts';

export interface DiskWatchOptions {
  readonly dir: StateDir;
  readonly path: string;
  /** False while the disk lacks what memory has. */
  isDurable(): boolean;
  flush(): Promise<boolean>;
  /** It cannot be written since now. */
  degraded(f: Fault): void;
  changed(): void;
}

export interface DiskWatch {
  fault(): Fault | null;
  look(): Promise<void>;
}

const mayWrite = (path: string): Promise<boolean> =>
  access(path, constants.W_OK).then(
    () => true,
    () => false,
  );

export const createDiskWatch = (options: DiskWatchOptions): DiskWatch => {
  const { dir, path, isDurable } = options;
  let fault: Fault | null = dir.full;
  return {
    fault: () => fault,
    look: async () => {
      // Asking costs nothing; the probe that writes runs only while something is known to be wrong.
      const before = fault;
      const isFine = before === null && isDurable() && (await mayWrite(path));
      const writable = isFine ? ok(undefined) : await dir.writable();
      fault = writable.ok ? null : writable.fault;
      if (writable.ok && !isDurable()) await options.flush();
      if (before === null && fault !== null) options.degraded(fault);
      if ((before === null) !== (fault === null)) options.changed();
    },
  };
};
