/**
 * The command journal: which ids were seen and what became of them, so that nothing runs twice and every repetition
 * gets the first answer. Append-only, in two files, each line with a checksum.
 */
import { join } from 'node:path';
import { type Fault, failed, fault, ok, type Result } from '../core/errors.ts';
import { createSerial } from '../core/serial.ts';
import { isTerminal } from '../protocol/result-schema.ts';
import { FILE_MODE, writeFileAtomic } from './atomic-file.ts';
import { encodeLine } from './checked-line.ts';
import { type Disk, nodeDisk } from './disk.ts';
import { isFurther, type JournalEntry } from './journal-entry.ts';
import { encodeJournal, type JournalCopy, readJournalCopy } from './journal-file.ts';
import { setAside } from './set-aside.ts';
import { storeFault } from './store-fault.ts';

/** Most ids that are remembered at a time. */
export const JOURNAL_CAPACITY = 1024;
/** Lines appended before the files are written anew. */
const COMPACT_AFTER_LINES = 1024;
/** An answer can be had again for a day. */
const RETENTION_S = 86_400;
/** A command is accepted so long after its end. */
const SKEW_S = 90;

export interface JournalOptions {
  readonly dir: string;
  readonly disk?: Disk;
  /** The device's best idea of now, epoch seconds: decides what may be forgotten. */
  readonly nowS: () => number;
}

export interface Journal {
  /** The last known step of a command. */
  lookup(id: string): JournalEntry | undefined;
  /**
   * Records a step; durable when it resolves `ok`. `QUEUE_FULL` when 1,024 commands are remembered that may not be
   * forgotten: then nothing is recorded. `STORE_FAILED` when it could not be written: memory has it, the disk does not.
   * `INTERNAL` when the command has ended already: the first terminal status stays.
   */
  record(entry: JournalEntry): Promise<Result<void>>;
  /** Commands that were begun and have no terminal status, oldest first. */
  unfinished(): readonly JournalEntry[];
  /** The newest terminal entries, newest first. */
  last(count: number): readonly JournalEntry[];
  /** Writes what only memory has: for the time when a full or read-only disk is good again. */
  flush(): Promise<Result<void>>;
  isDurable(): boolean;
  /** `slot`: one file was repaired from the other. `lost`: both were damaged, entries may be missing. */
  readonly recovered: 'no' | 'slot' | 'lost';
}

const PATHS = ['journal.0.log', 'journal.1.log'] as const;

/** A copy that lacks more than the one line a power cut can cost it, though it is of the same generation. */
const isBehind = (copy: JournalCopy, other: JournalCopy): boolean =>
  copy.generation === other.generation && other.lines - copy.lines > 1;

const isDamaged = (copy: JournalCopy, other: JournalCopy): boolean => {
  if (copy.state === 'missing') return other.state !== 'missing' && other.lines > 0;
  return copy.state === 'bad' || isBehind(copy, other);
};

/** Opens the journal: merges both copies, sets damaged ones aside, and writes both anew where they differ. Never rejects. */
export const openJournal = async ({ dir, disk = nodeDisk, nowS }: JournalOptions): Promise<Journal> => {
  const paths = PATHS.map((name) => join(dir, name));
  const copies = [
    await readJournalCopy(join(dir, PATHS[0]), disk),
    await readJournalCopy(join(dir, PATHS[1]), disk),
  ] as const;
  const damaged = [isDamaged(copies[0], copies[1]), isDamaged(copies[1], copies[0])];
  for (const [index, path] of paths.entries()) {
    if (damaged[index] === true && copies[index]?.state !== 'missing') await setAside(path, disk);
  }

  /** In the order in which commands were first seen. */
  const entries = new Map<string, JournalEntry>();
  for (const entry of copies.flatMap((copy) => copy.entries).toSorted((a, b) => a.ts - b.ts)) {
    if (isFurther(entry, entries.get(entry.id))) entries.set(entry.id, entry);
  }
  let generation = Math.max(...copies.map((copy) => copy.generation));
  const lines = Math.max(...copies.map((copy) => copy.lines));
  /** Lines since the files were last written anew. */
  let appended = 0;
  /** True while a copy on disk lacks something that memory has: the next write replaces both files. */
  let isBehindMemory = false;

  const forget = (isForgettable: (entry: JournalEntry) => boolean, atMost: number): void => {
    let left = atMost;
    for (const entry of entries.values()) {
      if (left <= 0) return;
      if (!isTerminal(entry.status) || !isForgettable(entry)) continue;
      entries.delete(entry.id);
      left--;
    }
  };
  const isOver = (entry: JournalEntry): boolean => nowS() > entry.expS + SKEW_S;
  const forgetOld = (): void =>
    forget((entry) => isOver(entry) && nowS() > entry.ts + RETENTION_S, Number.POSITIVE_INFINITY);
  /** Room for one more: first what is a day old, then, from the oldest, what could not run again anyway. */
  const makeRoom = (): boolean => {
    if (entries.size >= JOURNAL_CAPACITY) forgetOld();
    if (entries.size >= JOURNAL_CAPACITY) forget(isOver, entries.size - JOURNAL_CAPACITY + 1);
    return entries.size < JOURNAL_CAPACITY;
  };

  /** Does the same to both files; durable when one took it, whole when both did. */
  const onBoth = async (write: (path: string) => Promise<void>): Promise<Result<void>> => {
    const faults: Fault[] = [];
    for (const path of paths) {
      try {
        await write(path);
      } catch (error) {
        faults.push(storeFault(path, error));
      }
    }
    isBehindMemory = faults.length > 0;
    const [first] = faults;
    return first !== undefined && faults.length === paths.length ? failed(first) : ok(undefined);
  };

  const compact = (): Promise<Result<void>> => {
    forgetOld();
    generation++;
    appended = 0;
    const text = encodeJournal(generation, entries.values());
    return onBoth((path) => writeFileAtomic(path, text, disk));
  };

  const append = (entry: JournalEntry): Promise<Result<void>> => {
    appended++;
    const bytes = Buffer.from(encodeLine(entry));
    return onBoth(async (path) => {
      const file = await disk.append(path, FILE_MODE);
      try {
        await file.write(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
    });
  };

  const enqueue = createSerial();

  const record = (entry: JournalEntry): Promise<Result<void>> => {
    const known = entries.get(entry.id);
    if (known !== undefined && isTerminal(known.status)) {
      return Promise.resolve(failed(fault('INTERNAL', `command ${entry.id} has ended already`, false)));
    }
    if (known === undefined && !makeRoom()) {
      return Promise.resolve(failed(fault('QUEUE_FULL', 'the command journal is full', true)));
    }
    // Memory first and at once: a second message with this id must not get past while the disk is slow.
    entries.set(entry.id, entry);
    return enqueue(() => (isBehindMemory || appended >= COMPACT_AFTER_LINES ? compact() : append(entry)));
  };

  const hasNoEntries = copies.every((copy) => copy.state === 'missing');
  const isClean =
    copies.every((copy) => copy.state === 'good' && copy.generation === generation) &&
    copies[0].lines === copies[1].lines;
  forgetOld();
  if (hasNoEntries || !isClean || lines > entries.size) await compact();

  return {
    lookup: (id) => entries.get(id),
    record,
    unfinished: () => [...entries.values()].filter(({ status }) => !isTerminal(status)),
    last: (count) =>
      [...entries.values()]
        .filter(({ status }) => isTerminal(status))
        .toSorted((a, b) => b.ts - a.ts)
        .slice(0, count),
    flush: () => enqueue(() => (isBehindMemory ? compact() : Promise.resolve(ok(undefined)))),
    isDurable: () => !isBehindMemory,
    recovered: damaged.every(Boolean) ? 'lost' : damaged.some(Boolean) ? 'slot' : 'no',
  };
};
