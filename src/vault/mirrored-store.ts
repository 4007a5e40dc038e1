/**
 * A document kept twice. Every save writes both copies, one after the other, so whichever single file is emptied, cut
 * or zeroed, the newest value is in the other.
 */
import { join } from 'node:path';
import { type Fault, failed, ok, type Result } from '../core/errors.ts';
import { createSerial } from '../core/serial.ts';
import type { Store } from '../daemon/ports.ts';
import { writeFileAtomic } from './atomic-file.ts';
import { type Disk, errnoOf, nodeDisk } from './disk.ts';
import { setAside } from './set-aside.ts';
import { decodeSlot, encodeSlot, type SlotContent } from './slot-file.ts';
import type { StateCipher } from './state-cipher.ts';
import { storeFault } from './store-fault.ts';

/** A `Store` that can also say whether memory and disk agree. */
export interface MirroredStore<T> extends Store<T> {
  /** False while a copy on disk lacks the value in memory. */
  isDurable(): boolean;
  /** Writes what is still missing on disk: for the time when a full or read-only disk is good again. */
  flush(): Promise<Result<void>>;
}

export interface StoreOptions<T> {
  readonly dir: string;
  /** The files are `name.0.json` and `name.1.json`. */
  readonly name: string;
  /** Turns what was read into a value; undefined when it is not one. */
  readonly validate: (value: unknown) => T | undefined;
  readonly initial: T;
  readonly disk?: Disk;
  /** Keep the new value in memory when it cannot be written; otherwise a failed save leaves the old one. */
  readonly keepInMemory?: boolean;
  /** Encrypts the value at rest. */
  readonly cipher?: StateCipher;
}

type Loaded<T> =
  | { readonly state: 'good'; readonly content: SlotContent; readonly value: T; readonly isPlain: boolean }
  | { readonly state: 'missing' | 'bad' };

const SLOTS = [0, 1] as const;
type SlotIndex = (typeof SLOTS)[number];

/**
 * Opens the store: takes the newest good copy, sets a damaged one aside and writes it again. Never rejects for damaged
 * or unreadable files: `recovered` says `slot` when one copy had to be repaired, `lost` when both were and the initial
 * value stands.
 */
export const openStore = async <T>(options: StoreOptions<T>): Promise<MirroredStore<T>> => {
  const disk = options.disk ?? nodeDisk;
  const pathOf = (slot: SlotIndex): string => join(options.dir, `${options.name}.${slot}.json`);

  /** A value from before there was a cipher is taken, to be written anew under it. */
  const decode = (stored: unknown): T | undefined => {
    if (options.cipher === undefined || typeof stored !== 'string') return options.validate(stored);
    const plain = options.cipher.open(stored);
    return plain === undefined ? undefined : options.validate(JSON.parse(plain));
  };

  const load = async (slot: SlotIndex): Promise<Loaded<T>> => {
    try {
      const content = decodeSlot(await disk.read(pathOf(slot)));
      if (content === undefined) return { state: 'bad' };
      const stored: unknown = JSON.parse(content.json);
      const value = decode(stored);
      const isPlain = typeof stored !== 'string';
      return value === undefined ? { state: 'bad' } : { state: 'good', content, value, isPlain };
    } catch (error) {
      return { state: errnoOf(error) === 'ENOENT' ? 'missing' : 'bad' };
    }
  };

  const loaded = [await load(0), await load(1)] as const;
  const good = loaded.filter((slot) => slot.state === 'good');
  const newest = good.toSorted((a, b) => b.content.counter - a.content.counter)[0];
  const hasBad = loaded.some((slot) => slot.state === 'bad');
  for (const slot of SLOTS) if (loaded[slot].state === 'bad') await setAside(pathOf(slot), disk);

  let value = newest?.value ?? options.initial;
  // Plain text of what is wanted on disk; compared, so that an unchanged value costs no write.
  let wanted = newest === undefined ? undefined : JSON.stringify(newest.value);
  let counter = newest?.content.counter ?? 0;
  /** Copies that lack `wanted`. */
  const stale = new Set<SlotIndex>(
    newest === undefined
      ? []
      : SLOTS.filter((slot) => {
          const found = loaded[slot];
          if (found.state !== 'good' || found.content.counter !== newest.content.counter) return true;
          return options.cipher !== undefined && found.isPlain;
        }),
  );
  // One missing copy beside the very first save is what a power cut between the two writes leaves: nothing was lost.
  const hasLostOne = newest !== undefined && good.length === 1 && (hasBad || newest.content.counter > 1);

  /** Writes the stale copies, the first one first; the value is durable as soon as one has it. */
  const write = async (plain: string): Promise<Fault | undefined> => {
    const json = options.cipher === undefined ? plain : JSON.stringify(options.cipher.seal(plain));
    const text = encodeSlot({ counter, json });
    let firstFault: Fault | undefined;
    for (const slot of SLOTS) {
      if (!stale.has(slot)) continue;
      try {
        await writeFileAtomic(pathOf(slot), text, disk);
        stale.delete(slot);
      } catch (error) {
        firstFault ??= storeFault(pathOf(slot), error);
      }
    }
    return firstFault;
  };

  const enqueue = createSerial();

  const saveNow = async (next: T): Promise<Result<void>> => {
    const plain = JSON.stringify(next);
    if (plain === wanted && stale.size === 0) {
      value = next;
      return ok(undefined);
    }
    const before = { value, wanted };
    counter++;
    for (const slot of SLOTS) stale.add(slot);
    value = next;
    wanted = plain;
    const problem = await write(plain);
    if (problem === undefined || stale.size < SLOTS.length) return ok(undefined);
    if (!options.keepInMemory) {
      ({ value, wanted } = before);
      if (wanted === undefined) stale.clear();
    }
    return failed(problem);
  };

  const flushNow = async (): Promise<Result<void>> => {
    if (wanted === undefined || stale.size === 0) return ok(undefined);
    const problem = await write(wanted);
    return problem === undefined ? ok(undefined) : failed(problem);
  };

  if (wanted !== undefined && stale.size > 0) await write(wanted);

  return {
    get: () => value,
    save: (next) => enqueue(() => saveNow(next)),
    flush: () => enqueue(flushNow),
    isDurable: () => stale.size === 0,
    recovered: newest === undefined ? (hasBad ? 'lost' : 'no') : hasLostOne ? 'slot' : 'no',
  };
};
