/** The trust that devices are given: root keys, and the signed set of command keys. */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readTextFile } from '../config/text-file.ts';
import { type Fault, failed, fault, ok, type Result } from '../core/errors.ts';
import {
  type CommandKey,
  type KeySet,
  type KeysFile,
  openKeySet,
  parseKeysFile,
  signKeySet,
} from '../protocol/keyset.ts';
import { importSigner, type SigningKeyFile } from '../protocol/signing-key.ts';
import { writeFileAtomic } from '../vault/atomic-file.ts';

const MAX_BYTES = 65_536;
/** The device takes a set of at most this length in a `keys` command. */
const MAX_SET_LENGTH = 8192;
/** No secret: devices read it as their `trust.keysFile`. */
const KEYS_FILE_MODE = 0o644;

/** A keys file and its set, verified. */
export interface OpenKeys {
  readonly file: KeysFile;
  readonly set: KeySet;
}

/** Reads a keys file and verifies its set against its own root keys. */
export const readKeys = async (path: string): Promise<Result<OpenKeys>> => {
  const text = await readTextFile(readFile, path, MAX_BYTES);
  if (!text.ok) return failed(fault('CONFIG_INVALID', `The keys file ${text.problem}.`, false));
  const file = parseKeysFile(text.text);
  if (!file.ok) return failed(fault('CONFIG_INVALID', `The keys file ${path} ${file.message}.`, false));
  const set = await openKeySet(file.value.set, file.value.root);
  return set.ok
    ? ok({ file: file.value, set: set.value })
    : failed(fault('CONFIG_INVALID', `The keys file ${path}: ${set.fault.message}.`, false));
};

/** Signs a set with a root key and writes the keys file. The root key must be one of the file's. */
export const writeKeys = async (
  path: string,
  roots: KeysFile['root'],
  set: KeySet,
  root: SigningKeyFile,
): Promise<Result<OpenKeys>> => {
  if (!roots.some((known) => known.kid === root.kid && known.x === root.x))
    return failed(fault('NOT_ALLOWED', `The key ${root.kid} is no root key of ${path}.`, false));
  const jws = await signKeySet(set, await importSigner(root));
  if (jws.length > MAX_SET_LENGTH)
    return failed(fault('BAD_ARGS', 'The key set is too long for a command; revoke keys first.', false));
  const file: KeysFile = { v: 1, root: [...roots], set: jws };
  const opened = await openKeySet(jws, roots);
  if (!opened.ok) return opened;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFileAtomic(path, `${JSON.stringify(file, null, 2)}\n`, undefined, KEYS_FILE_MODE);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return failed(
      fault('STORE_FAILED', `The keys file ${path} cannot be written (${code ?? 'unknown'}).`, false),
    );
  }
  return ok({ file, set: opened.value });
};

const taken = (kid: string): Fault => fault('BAD_ARGS', `The kid ${kid} is in the key set already.`, false);

/** The next version with one key more; the set's end moves to `expires` where given. */
export const withKey = (set: KeySet, key: CommandKey, expires: number): Result<KeySet> =>
  set.keys.some(({ kid }) => kid === key.kid)
    ? failed(taken(key.kid))
    : ok({ ...set, version: set.version + 1, expires, keys: [...set.keys, key] });

/** The next version without a key. */
export const withoutKey = (set: KeySet, kid: string, expires: number): Result<KeySet> =>
  set.keys.some((key) => key.kid === kid)
    ? ok({ ...set, version: set.version + 1, expires, keys: set.keys.filter((key) => key.kid !== kid) })
    : failed(fault('BAD_ARGS', `The kid ${kid} is not in the key set.`, false));
