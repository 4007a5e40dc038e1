/** Private signing keys on the operator's disk: one key per file, mode 0600. */
import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Type } from 'typebox';
import { readJsonFile } from '../config/text-file.ts';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { isKey32 } from '../protocol/base64url.ts';
import { isKid, KID_PATTERN } from '../protocol/names.ts';
import { importSigner, type Signer, type SigningKeyFile } from '../protocol/signing-key.ts';
import { checker } from '../protocol/validate.ts';

const checkKeyFile = checker(
  Type.Object(
    {
      kid: Type.Optional(Type.String({ pattern: KID_PATTERN })),
      kty: Type.Literal('OKP'),
      crv: Type.Literal('Ed25519'),
      x: Type.String(),
      d: Type.String(),
    },
    { additionalProperties: false },
  ),
);

const MAX_BYTES = 4096;

const invalid = (message: string) => failed(fault('CONFIG_INVALID', message, false));

/**
 * Reads a private signing key. `kid` names the key when the file does not, and must agree with it when it does.
 * `CONFIG_INVALID` names the file; no message shows what is in it.
 */
export const readKeyFile = async (path: string, kid = ''): Promise<Result<SigningKeyFile>> => {
  const json = await readJsonFile(readFile, path, MAX_BYTES);
  if (!json.ok) return invalid(`The key file ${json.problem}.`);
  const checked = checkKeyFile(json.value);
  if (!checked.ok) return invalid(`The key file ${path}: ${checked.message}.`);
  const { x, d } = checked.value;
  if (!isKey32(x) || !isKey32(d)) return invalid(`The key file ${path} holds no Ed25519 key.`);
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0)
    return invalid(
      `The key file ${path} has mode ${(mode & 0o777).toString(8).padStart(4, '0')}; others must not read it: chmod 600.`,
    );
  const name = checked.value.kid ?? kid;
  if (!isKid(name)) return invalid(`The key file ${path} does not say its kid; name it (--kid).`);
  if (kid !== '' && kid !== name) return invalid(`The key file ${path} holds the key ${name}, not ${kid}.`);
  return ok({ kid: name, kty: 'OKP', crv: 'Ed25519', x, d });
};

/** Reads a private key and makes it ready to sign. */
export const readSigner = async (path: string, kid = ''): Promise<Result<Signer>> => {
  const file = await readKeyFile(path, kid);
  if (!file.ok) return file;
  try {
    return ok(await importSigner(file.value));
  } catch {
    return invalid(`The key file ${path} holds a key that does not work.`);
  }
};

/** Writes a new private key, 0600 and durable. Never over a file that is there: a lost root key cannot be replaced. */
export const writeKeyFile = async (path: string, key: SigningKeyFile): Promise<Result<void>> => {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const handle = await open(path, 'wx', 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(key, null, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return ok(undefined);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return failed(
      code === 'EEXIST'
        ? fault('CONFIG_INVALID', `There is a key at ${path} already; it is left as it is.`, false)
        : fault('STORE_FAILED', `The key file ${path} cannot be written (${code ?? 'unknown'}).`, false),
    );
  }
};
