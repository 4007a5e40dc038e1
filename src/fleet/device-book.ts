/**
 * What an operator remembers of each device, one small file each: the pinned key, the last sequence number per signing
 * key, the last revision and token generation. Two command lines at once never take the same sequence number.
 */

import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Type } from 'typebox';
import type { Clock } from '../core/clock.ts';
import { failed, fault, LockkeeperError, ok, type Result } from '../core/errors.ts';
import { isKey32 } from '../protocol/base64url.ts';
import { DEVICE_ID_PATTERN, KID_PATTERN } from '../protocol/names.ts';
import type { Signer } from '../protocol/signing-key.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import { checker } from '../protocol/validate.ts';
import { writeFileAtomic } from '../vault/atomic-file.ts';
import { withFileLock } from './file-lock.ts';

const CLOSED = { additionalProperties: false } as const;
const counter = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

const recordSchema = Type.Object(
  {
    v: Type.Literal(1),
    device: Type.String({ pattern: DEVICE_ID_PATTERN }),
    pin: Type.Optional(Type.Object({ kid: Type.String({ pattern: KID_PATTERN }), x: Type.String() }, CLOSED)),
    seq: Type.Unsafe<Readonly<Record<string, number>>>({ type: 'object', additionalProperties: counter }),
    rev: counter,
    gen: counter,
  },
  CLOSED,
);
const checkRecord = checker(recordSchema);

/** The key to which tokens for a device are sealed. */
export interface PinnedKey {
  readonly kid: string;
  /** X25519 public key, base64url. */
  readonly x: string;
}

/** The record of one device. `seq` is by signing key; 0 means: none yet. */
export interface DeviceRecord {
  readonly v: 1;
  readonly device: string;
  readonly pin?: PinnedKey;
  readonly seq: Readonly<Record<string, number>>;
  readonly rev: number;
  readonly gen: number;
}

export interface DeviceBook {
  /** The record, or an empty one. `CONFIG_INVALID` when the file is there and damaged. */
  read(device: string): Promise<Result<DeviceRecord>>;
  /** Changes the record under a lock and stores it durably; gives back what was stored. */
  update(device: string, change: (record: DeviceRecord) => DeviceRecord): Promise<Result<DeviceRecord>>;
}

const LOCK_NAME = '.lock';

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** @param dir made when it is not there, with mode 0700 */
export const openDeviceBook = (dir: string): DeviceBook => {
  const fileOf = (device: string): string => join(dir, `${device}.json`);

  const read = async (device: string): Promise<Result<DeviceRecord>> => {
    const path = fileOf(device);
    let content: string;
    try {
      content = await readFile(path, 'utf8');
    } catch (error) {
      if (isMissing(error)) return ok({ v: 1, device, seq: {}, rev: 0, gen: 0 });
      return failed(fault('STORE_FAILED', `The device record ${path} cannot be read.`, false));
    }
    const json = parseStrictJson(content);
    const checked = json.ok ? checkRecord(json.value) : null;
    const isGood =
      checked?.ok === true &&
      checked.value.device === device &&
      (checked.value.pin === undefined || isKey32(checked.value.pin.x));
    return isGood
      ? ok(checked.value)
      : failed(
          fault('CONFIG_INVALID', `The device record ${path} is damaged; it holds the pinned key.`, false),
        );
  };

  return {
    read,
    async update(device, change) {
      try {
        await mkdir(dir, { recursive: true, mode: 0o700 });
        return await withFileLock(join(dir, LOCK_NAME), async () => {
          const before = await read(device);
          if (!before.ok) return before;
          const after = change(before.value);
          await writeFileAtomic(fileOf(device), `${JSON.stringify(after, null, 2)}\n`);
          return ok(after);
        });
      } catch (error) {
        if (error instanceof LockkeeperError) return failed(error.fault);
        return failed(fault('STORE_FAILED', `The folder ${dir} cannot be written.`, false));
      }
    },
  };
};

/**
 * Takes the next sequence number for a device and signing key. It follows the wall clock in milliseconds, so that a
 * second operator with the same key, or a lost record, does not fall behind what the device has seen.
 */
export const takeSeq = async (
  book: DeviceBook,
  device: string,
  kid: string,
  wallMs: number,
): Promise<Result<number>> => {
  const taken = await book.update(device, (record) => ({
    ...record,
    seq: { ...record.seq, [kid]: Math.max((record.seq[kid] ?? 0) + 1, Math.floor(wallMs)) },
  }));
  return taken.ok ? ok(taken.value.seq[kid] ?? 0) : taken;
};

/** What `sendCommand` takes its numbers from. Unsigned commands, for benches, share a row of their own. */
export const seqSource =
  (book: DeviceBook, device: string, signer: Pick<Signer, 'kid'> | null, clock: Pick<Clock, 'wall'>) =>
  (): Promise<Result<number>> =>
    takeSeq(book, device, signer?.kid ?? 'broker', clock.wall());
