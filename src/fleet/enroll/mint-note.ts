/** A note beside the device's record: what an enrolment is about to make. It outlives a crash of the program. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Type } from 'typebox';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { ULID_PATTERN } from '../../protocol/names.ts';
import { parseStrictJson } from '../../protocol/strict-json.ts';
import { checker } from '../../protocol/validate.ts';
import { writeFileAtomic } from '../../vault/atomic-file.ts';

const checkNote = checker(
  Type.Object(
    {
      v: Type.Literal(1),
      mint: Type.String({ pattern: ULID_PATTERN }),
      credential: Type.Union([Type.String(), Type.Null()]),
      digest: Type.String(),
      isPending: Type.Boolean(),
      isReplacing: Type.Boolean(),
    },
    { additionalProperties: false },
  ),
);

export interface Noted {
  /** The mark in the credential's metadata. */
  readonly mint: string;
  /** ngrok's id of it, once known. */
  readonly credential: string | null;
  /** Hash of the bundle that holds its token; empty before it was made. */
  readonly digest: string;
  /** False when the enrolment came to its end. */
  readonly isPending: boolean;
  readonly isReplacing: boolean;
}

export interface MintNote {
  read(device: string): Promise<Result<Noted | null>>;
  begin(device: string, mint: string, isReplacing: boolean): Promise<Result<void>>;
  /** Just before the bundle is written. */
  made(device: string, credential: string, digest: string): Promise<Result<void>>;
  settle(device: string): Promise<Result<void>>;
}

/** @param dir the folder of the device records */
export const openMintNote = (dir: string): MintNote => {
  // Not the name of any device: those have no dots.
  const fileOf = (device: string): string => join(dir, `${device}.enroll`);
  const read: MintNote['read'] = async (device) => {
    let text: string;
    try {
      text = await readFile(fileOf(device), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ok(null);
      return failed(fault('STORE_FAILED', `${fileOf(device)} cannot be read.`, false));
    }
    const json = parseStrictJson(text);
    const checked = json.ok ? checkNote(json.value) : null;
    if (checked?.ok !== true)
      return failed(
        fault('CONFIG_INVALID', `${fileOf(device)} is damaged; look for leftovers, then remove it.`, false),
      );
    const { v: _v, ...noted } = checked.value;
    return ok(noted);
  };
  const write = async (device: string, noted: Noted): Promise<Result<void>> => {
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await writeFileAtomic(fileOf(device), `${JSON.stringify({ v: 1, ...noted })}\n`);
      return ok(undefined);
    } catch {
      return failed(fault('STORE_FAILED', `The folder ${dir} cannot be written.`, false));
    }
  };
  const change = async (device: string, with_: Partial<Noted>): Promise<Result<void>> => {
    const before = await read(device);
    if (!before.ok) return before;
    return before.value === null ? ok(undefined) : write(device, { ...before.value, ...with_ });
  };
  return {
    read,
    begin: (device, mint, isReplacing) =>
      write(device, { mint, credential: null, digest: '', isPending: true, isReplacing }),
    made: (device, credential, digest) => change(device, { credential, digest }),
    settle: (device) => change(device, { isPending: false }),
  };
};
