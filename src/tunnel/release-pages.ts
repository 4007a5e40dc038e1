/**
 * Gives pages back to the system that the process holds without a need: what the C library has freed but keeps, and the
 * pages of programs and libraries that only the start has touched. Those are read-only copies of files, and one that is
 * used again is mapped again from the file. Linux with the GNU C library; elsewhere nothing happens.
 */
import { readFileSync } from 'node:fs';

/** Addresses of one mapping: the first byte, and how many. */
export interface Mapping {
  readonly start: bigint;
  readonly bytes: bigint;
}

const HEADER = /^([\da-f]+)-([\da-f]+) r-.p \S+ \S+ ([1-9]\d*) /;
const NEXT_HEADER = /\n(?=[\da-f]+-[\da-f]+ )/;

/**
 * Mappings whose pages can all be had again from their files, out of the text of `/proc/PID/smaps`: of a file, not
 * writable, and without one page that is the process's own (in memory or swapped out), such as relocations are. Pure.
 */
export const filePages = (smaps: string): readonly Mapping[] =>
  smaps.split(NEXT_HEADER).flatMap((text) => {
    const [, start, end] = HEADER.exec(text) ?? [];
    // A kernel that does not tell both leaves the mapping alone.
    const hasNoOwn = /^Anonymous: +0 kB$/m.test(text) && /^Swap: +0 kB$/m.test(text);
    if (start === undefined || end === undefined || !hasNoOwn) return [];
    const first = BigInt(`0x${start}`);
    return [{ start: first, bytes: BigInt(`0x${end}`) - first }];
  });

/** False where the list is another process's, an emulator's for one: its addresses mean something else here. Pure. */
export const holds = (mappings: readonly Mapping[], address: bigint): boolean =>
  mappings.some(({ start, bytes }) => address >= start && address < start + bytes);

const MADV_DONTNEED = 4;

/** The runtime's own way to the C library; undefined before Node 26. It calls itself experimental, which no log needs to say. */
const foreignFunctions = () => {
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return process.getBuiltinModule('node:ffi');
  } finally {
    process.emitWarning = emitWarning;
  }
};

interface Library {
  malloc_trim(keepBytes: bigint): number;
  madvise(start: bigint, bytes: bigint, advice: number): number;
  /** Where this process has a function of the C library. */
  readonly landmark: bigint;
}

/** Pointers and sizes are passed as 64 bits. */
const WIDE: ReadonlySet<string> = new Set(['x64', 'arm64']);

const openLibrary = (): Library | null => {
  if (process.platform !== 'linux' || !WIDE.has(process.arch)) return null;
  try {
    const library = foreignFunctions()?.dlopen(null, {
      malloc_trim: { arguments: ['u64'], return: 'i32' },
      madvise: { arguments: ['u64', 'u64', 'i32'], return: 'i32' },
    });
    if (library === undefined) return null;
    const { malloc_trim, madvise } = library.functions as Omit<Library, 'landmark'>;
    return { malloc_trim, madvise, landmark: library.lib.getSymbol('malloc_trim') };
  } catch {
    // Another C library, or another form of what is experimental.
    return null;
  }
};

/** Prepares for giving pages back; the function does it. Neither throws: what cannot be done is left. */
export const openReleasePages = (): (() => void) => {
  const library = openLibrary();
  if (library === null) return () => undefined;
  return () => {
    try {
      library.malloc_trim(0n);
      const mappings = filePages(readFileSync('/proc/self/smaps', 'latin1'));
      if (!holds(mappings, library.landmark)) return;
      for (const { start, bytes } of mappings) library.madvise(start, bytes, MADV_DONTNEED);
    } catch {
      // Without the file there is nothing to go by.
    }
  };
};
