/** Tokens in transit: compact JWE, ECDH-ES on X25519 with A256GCM, so only the device it is for can read one. */
import { CompactEncrypt, compactDecrypt, importJWK } from 'jose';
import { Type } from 'typebox';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { fromBase64url, isKey32 } from './base64url.ts';
import type { DeviceKey, DevicePublicKey } from './device-key.ts';
import { CLOSED, deviceIdSchema, revSchema } from './schema-primitives.ts';
import { isRecord, readStrictJson } from './strict-json.ts';
import { checker } from './validate.ts';

/** What is inside. `tok` is the authtoken, `cid` ngrok's credential id (may be empty): both opaque, both printable. */
export interface SealedToken {
  readonly tok: string;
  readonly cid: string;
  readonly dev: string;
  readonly gen: number;
}

export const MAX_TOKEN_LENGTH = 512;
export const MAX_CREDENTIAL_ID_LENGTH = 64;
/** ASCII from the exclamation mark to the tilde. */
const PRINTABLE = '^[!-~]+$';
const PRINTABLE_OR_EMPTY = '^[!-~]*$';

const checkBody = checker(
  Type.Object(
    {
      tok: Type.String({ pattern: PRINTABLE, maxLength: MAX_TOKEN_LENGTH }),
      cid: Type.String({ pattern: PRINTABLE_OR_EMPTY, maxLength: MAX_CREDENTIAL_ID_LENGTH }),
      dev: deviceIdSchema,
      gen: revSchema,
    },
    CLOSED,
  ),
);

const MAX_BODY_BYTES = 2048;

/** True when a text can be an authtoken as far as this protocol cares: printable ASCII, 1 to 512. */
export const isSealableToken = (token: string): boolean =>
  token.length <= MAX_TOKEN_LENGTH && new RegExp(PRINTABLE).test(token);

/** Seals to a device's public key. Throws a `TypeError` when the content has not the form (the message shows none of it). */
export const sealToken = async (
  body: SealedToken,
  to: Pick<DevicePublicKey, 'kid' | 'x'>,
): Promise<string> => {
  const { tok, cid, dev, gen } = body;
  const checked = checkBody({ tok, cid, dev, gen });
  if (!checked.ok) throw new TypeError(`cannot seal: ${checked.message}`);
  const key = await importJWK({ kty: 'OKP', crv: 'X25519', x: to.x }, 'ECDH-ES');
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(checked.value)))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: to.kid })
    .encrypt(key);
};

/** Reads the closed header; the kid, or undefined when the form is wrong. */
const readHeader = (text: string): string | undefined => {
  const [head = '', encryptedKey] = text.split('.', 2);
  // With ECDH-ES the agreed key is the content key: there is no encrypted one.
  if (encryptedKey !== '' || head.length > 512) return undefined;
  const bytes = fromBase64url(head);
  const header = bytes === undefined ? undefined : readStrictJson(bytes);
  if (header === undefined || !header.ok || !isRecord(header.value)) return undefined;
  const { alg, enc, kid, epk, ...rest } = header.value;
  if (alg !== 'ECDH-ES' || enc !== 'A256GCM' || typeof kid !== 'string' || !isRecord(epk)) return undefined;
  const { kty, crv, x, ...more } = epk;
  if (kty !== 'OKP' || crv !== 'X25519' || typeof x !== 'string' || !isKey32(x)) return undefined;
  return Object.keys(rest).length + Object.keys(more).length === 0 ? kid : undefined;
};

const refuse = (why: string) => failed(fault('UNSEAL_FAILED', why, false));

/**
 * Opens a sealed token with whichever of the device's keys it names. `UNSEAL_FAILED` when it is for another key,
 * altered, malformed, or its inner device and generation are not the command's: a sealed text cannot be moved.
 */
export const unsealToken = async (
  sealed: string,
  keys: readonly DeviceKey[],
  expected: { readonly dev: string; readonly gen: number },
): Promise<Result<SealedToken>> => {
  const kid = readHeader(sealed);
  if (kid === undefined) return refuse('the sealed token has not the agreed form');
  const device = keys.find((key) => key.kid === kid);
  if (device === undefined) return refuse('the token is sealed to a key that this device does not have');
  let plain: Uint8Array;
  try {
    const key = await importJWK({ kty: 'OKP', crv: 'X25519', x: device.x, d: device.d }, 'ECDH-ES');
    const opened = await compactDecrypt(sealed, key, {
      keyManagementAlgorithms: ['ECDH-ES'],
      contentEncryptionAlgorithms: ['A256GCM'],
    });
    plain = opened.plaintext;
  } catch {
    return refuse('the sealed token cannot be opened with the key it names');
  }
  const json = readStrictJson(plain, MAX_BODY_BYTES);
  const body = json.ok ? checkBody(json.value) : undefined;
  if (body === undefined || !body.ok) return refuse('what was sealed has not the agreed form');
  if (body.value.dev !== expected.dev) return refuse('the token was sealed for another device');
  if (body.value.gen !== expected.gen) return refuse('the token was sealed for another generation');
  return ok(body.value);
};
