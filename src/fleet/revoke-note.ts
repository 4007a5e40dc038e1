/** A note beside the device's record: credentials that were deleted and whose sessions were not yet seen to end. */
import { mkdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { failed, fault, ok } from '../core/errors.ts';
import { isRecord, parseStrictJson } from '../protocol/strict-json.ts';
import { writeFileAtomic } from '../vault/atomic-file.ts';
import { errnoOf } from '../vault/disk.ts';
import type { RevokePorts } from './revoke.ts';

/** @param dir the folder of the device records */
export const openRevokeNote = (dir: string): RevokePorts['unfinished'] => {
  // Not the name of any device: those have no dots.
  const fileOf = (device: string): string => join(dir, `${device}.revoke`);
  return {
    async read(device) {
      try {
        const json = parseStrictJson(await readFile(fileOf(device), 'utf8'));
        const ids = json.ok && isRecord(json.value) ? json.value['credentials'] : null;
        return ok(Array.isArray(ids) ? ids.filter((id): id is string => typeof id === 'string') : []);
      } catch (error) {
        return errnoOf(error) === 'ENOENT'
          ? ok([])
          : failed(fault('STORE_FAILED', `${fileOf(device)} cannot be read (${errnoOf(error)}).`, false));
      }
    },
    async write(device, credentials) {
      try {
        if (credentials.length === 0) await unlink(fileOf(device));
        else {
          await mkdir(dir, { recursive: true, mode: 0o700 });
          await writeFileAtomic(fileOf(device), `${JSON.stringify({ v: 1, credentials })}\n`);
        }
        return ok(undefined);
      } catch (error) {
        return errnoOf(error) === 'ENOENT' && credentials.length === 0
          ? ok(undefined)
          : failed(fault('STORE_FAILED', `${fileOf(device)} cannot be written (${errnoOf(error)}).`, false));
      }
    },
  };
};
