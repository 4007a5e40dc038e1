/**
 * What travels to a new box: one file with its configuration and secrets. Either sealed (the token to the key that the
 * device made) or locked (the whole file by a passphrase, in the age format, so that `age -d` opens it too).
 */
import { Decrypter, Encrypter } from 'age-encryption';
import { Type } from 'typebox';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import type { DeviceKey } from '../../protocol/device-key.ts';
import { DEVICE_ID_PATTERN } from '../../protocol/names.ts';
import { sealToken, unsealToken } from '../../protocol/seal.ts';
import { parseStrictJson } from '../../protocol/strict-json.ts';
import { checker } from '../../protocol/validate.ts';
import type { PinnedKey } from '../device-book.ts';

/** The secrets in a bundle. */
export interface BundleSecrets {
  /** The authtoken. */
  readonly token: string;
  /** Password at the broker; empty for none. */
  readonly mqttPassword: string;
}

/** Everything but the secrets. */
export interface BundleContent {
  readonly device: string;
  readonly tenant: string;
  /** Generation of the token, as the fleet counts it. */
  readonly gen: number;
  /** ngrok's id of the credential. */
  readonly credential: string;
  /** `config.json`; paths that are empty in it are filled in on the box. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Text of `trust.keysFile`; empty where commands need no signature. */
  readonly keys: string;
  /** Further files by their name in the folder of the configuration: authorities, policies. */
  readonly files: Readonly<Record<string, string>>;
}

const FILE_NAME = '^(policies/)?[A-Za-z0-9][A-Za-z0-9._-]{0,63}$';

const contentSchema = {
  lkBundle: Type.Literal(1),
  device: Type.String({ pattern: DEVICE_ID_PATTERN }),
  tenant: Type.String({ minLength: 1 }),
  gen: Type.Integer({ minimum: 1 }),
  credential: Type.String(),
  config: Type.Unsafe<Readonly<Record<string, unknown>>>({ type: 'object' }),
  keys: Type.String(),
  files: Type.Unsafe<Readonly<Record<string, string>>>({
    type: 'object',
    propertyNames: { pattern: FILE_NAME },
    additionalProperties: { type: 'string' },
  }),
};
const CLOSED = { additionalProperties: false } as const;
const checkSealed = checker(
  Type.Object(
    { ...contentSchema, sealed: Type.Object({ token: Type.String(), mqttPassword: Type.String() }, CLOSED) },
    CLOSED,
  ),
);
const checkOpen = checker(
  Type.Object(
    { ...contentSchema, secrets: Type.Object({ token: Type.String(), mqttPassword: Type.String() }, CLOSED) },
    CLOSED,
  ),
);

const AGE_HEADER = 'age-encryption.org/v1';
/** 64 MiB and half a second of work on a small gateway, which has no 256 MiB to spare; passphrases are long instead. */
const SCRYPT_LOG_N = 16;
export const MIN_PASSPHRASE = 16;
const MAX_BYTES = 1_048_576;

/** The broker's password is sealed in the token's form, as base64url, under a name that no credential has. */
const PASSWORD_ID = 'mqtt-password';
/** What fits into that form. */
export const MAX_PASSWORD_BYTES = 360;

const text = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** A bundle whose secrets only the device of this key can read. */
export const sealBundle = async (
  content: BundleContent,
  secrets: BundleSecrets,
  to: PinnedKey,
): Promise<Uint8Array> => {
  const { device: dev, gen, credential: cid } = content;
  const token = await sealToken({ tok: secrets.token, cid, dev, gen }, to);
  const mqttPassword =
    secrets.mqttPassword === ''
      ? ''
      : await sealToken(
          { tok: Buffer.from(secrets.mqttPassword).toString('base64url'), cid: PASSWORD_ID, dev, gen },
          to,
        );
  return Buffer.from(text({ lkBundle: 1, ...content, sealed: { token, mqttPassword } }));
};

/** A bundle that whoever knows the passphrase can read. */
export const lockBundle = (
  content: BundleContent,
  secrets: BundleSecrets,
  passphrase: string,
  scryptLogN: number = SCRYPT_LOG_N,
): Promise<Uint8Array> => {
  const encrypter = new Encrypter();
  encrypter.setScryptWorkFactor(scryptLogN);
  encrypter.setPassphrase(passphrase);
  return encrypter.encrypt(text({ lkBundle: 1, ...content, secrets }));
};

/** How a bundle is opened. */
export type BundleKind = 'sealed' | 'locked';

export const bundleKind = (bytes: Uint8Array): BundleKind =>
  Buffer.from(bytes.subarray(0, AGE_HEADER.length)).toString('latin1') === AGE_HEADER ? 'locked' : 'sealed';

const bad = (why: string) => failed(fault('BAD_ARGS', `The bundle ${why}.`, false));

const parse = (bytes: Uint8Array): Result<unknown> => {
  if (bytes.byteLength > MAX_BYTES) return bad('is too large');
  const json = parseStrictJson(Buffer.from(bytes).toString('utf8'));
  return json.ok ? ok(json.value) : bad('is damaged, or is no bundle');
};

const contentOf = ({
  device,
  tenant,
  gen,
  credential,
  config,
  keys,
  files,
}: BundleContent): BundleContent => ({
  device,
  tenant,
  gen,
  credential,
  config,
  keys,
  files,
});

/** What a sealed bundle shows to anybody: whose it is, and which credential. */
export const peekBundle = (
  bytes: Uint8Array,
): Result<Pick<BundleContent, 'device' | 'credential' | 'gen'>> => {
  const json = parse(bytes);
  if (!json.ok) return json;
  const checked = checkSealed(json.value);
  if (!checked.ok) return bad(`has a mistake: ${checked.message}`);
  const { device, credential, gen } = checked.value;
  return ok({ device, credential, gen });
};

export interface OpenedBundle {
  readonly content: BundleContent;
  readonly secrets: BundleSecrets;
}

/** Opens a sealed bundle with the device's keys. `UNSEAL_FAILED` when it was made for another key. */
export const unsealBundle = async (
  bytes: Uint8Array,
  keys: readonly DeviceKey[],
): Promise<Result<OpenedBundle>> => {
  const json = parse(bytes);
  if (!json.ok) return json;
  const checked = checkSealed(json.value);
  if (!checked.ok) return bad(`has a mistake: ${checked.message}`);
  const { sealed, device: dev, gen } = checked.value;
  const token = await unsealToken(sealed.token, keys, { dev, gen });
  if (!token.ok) return token;
  if (sealed.mqttPassword === '')
    return ok({ content: contentOf(checked.value), secrets: { token: token.value.tok, mqttPassword: '' } });
  const password = await unsealToken(sealed.mqttPassword, keys, { dev, gen });
  if (!password.ok) return password;
  if (password.value.cid !== PASSWORD_ID) return bad('holds something else in the place of the password');
  return ok({
    content: contentOf(checked.value),
    secrets: {
      token: token.value.tok,
      mqttPassword: Buffer.from(password.value.tok, 'base64url').toString('utf8'),
    },
  });
};

/** Opens a locked bundle. `UNSEAL_FAILED` for a wrong passphrase, or a file that was changed. */
export const unlockBundle = async (bytes: Uint8Array, passphrase: string): Promise<Result<OpenedBundle>> => {
  if (bytes.byteLength > MAX_BYTES) return bad('is too large');
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase);
  let plain: Uint8Array;
  try {
    plain = await decrypter.decrypt(bytes);
  } catch {
    return failed(
      fault('UNSEAL_FAILED', 'The passphrase does not open the bundle, or it is damaged.', false),
    );
  }
  const json = parse(plain);
  if (!json.ok) return json;
  const checked = checkOpen(json.value);
  return checked.ok
    ? ok({ content: contentOf(checked.value), secrets: checked.value.secrets })
    : bad(`has a mistake: ${checked.message}`);
};
