/** Secrets that the configuration names by file: a path, or `credential:NAME` in systemd's credentials folder. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { errnoOf } from './disk.ts';

/** `text` is the secret. `warning` is a sentence for the log when others may read the file. */
export interface SecretFile {
  readonly text: string;
  readonly path: string;
  readonly warning?: string;
}

const CREDENTIAL_PREFIX = 'credential:';
/** Far more than any token, key or certificate chain needs. */
const MAX_SECRET_BYTES = 65_536;

const invalid = (message: string) => failed(fault('CONFIG_INVALID', message, false));

/** The path a reference stands for. `CONFIG_INVALID` for a credential where there is no credentials folder. */
export const secretPath = (
  reference: string,
  env: Readonly<Record<string, string | undefined>>,
): Result<string> => {
  if (!reference.startsWith(CREDENTIAL_PREFIX)) return ok(reference);
  const name = reference.slice(CREDENTIAL_PREFIX.length);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) return invalid(`${reference} does not name a credential`);
  const dir = env['CREDENTIALS_DIRECTORY'] ?? '';
  return dir === ''
    ? invalid(`${reference} needs systemd's LoadCredential=, and CREDENTIALS_DIRECTORY is not set`)
    : ok(join(dir, name));
};

const READ_WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'is not there',
  EACCES: 'may not be read by this user',
  EISDIR: 'is a folder',
};

/**
 * Reads a secret; a byte order mark in front and line ends behind are not part of it. `CONFIG_INVALID` names the path
 * when it cannot be read, is empty or too long. No error shows the content.
 */
export const readSecret = async (
  reference: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Result<SecretFile>> => {
  const path = secretPath(reference, env);
  if (!path.ok) return path;
  let bytes: Uint8Array;
  let mode: number;
  try {
    bytes = await readFile(path.value);
    mode = (await stat(path.value)).mode & 0o777;
  } catch (error) {
    const code = errnoOf(error);
    return invalid(`${path.value} ${READ_WORDS[code] ?? 'cannot be read'} (${code})`);
  }
  if (bytes.byteLength > MAX_SECRET_BYTES) return invalid(`${path.value} is too long for a secret`);
  const text = new TextDecoder().decode(bytes).replace(/[\r\n]+$/, '');
  bytes.fill(0);
  if (text === '') return invalid(`${path.value} is empty`);
  const octal = mode.toString(8).padStart(4, '0');
  // systemd sets the modes of its credentials; nobody else can reach that folder.
  const isOpen = !reference.startsWith(CREDENTIAL_PREFIX) && (mode & 0o077) !== 0;
  return ok({
    text,
    path: path.value,
    ...(isOpen ? { warning: `${path.value} has mode ${octal}, others may read it: chmod 600` } : {}),
  });
};
