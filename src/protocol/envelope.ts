/**
 * Signed messages: compact JWS with Ed25519 and a closed header. Everything that costs nothing is checked before the
 * signature, so that junk is cheap to refuse.
 */
import { CompactSign, compactVerify } from 'jose';
import { fromBase64url } from './base64url.ts';
import { isKid } from './names.ts';
import type { CryptoKey, Signer } from './signing-key.ts';
import { isRecord, readStrictJson } from './strict-json.ts';

/** What a signature is for. A signed document can never be taken for a command, nor a key set for either. */
export type EnvelopeType = 'lk1-cmd' | 'lk1-desired' | 'lk1-keys';

/** The three parts of an envelope that looks right; nothing is verified yet. */
export interface EnvelopeShape {
  readonly kid: string;
  readonly text: string;
}

const MAX_HEADER_LENGTH = 256;
/** 64 bytes as base64url. */
const SIGNATURE_LENGTH = 86;
/** RFC 8037 says `EdDSA`, RFC 9864 `Ed25519`; for this curve they are the same signature. */
const ALGORITHMS = ['EdDSA', 'Ed25519'];

/** Reads the header and checks the form; undefined for anything but a compact JWS of this type with the closed header. */
export const readEnvelope = (text: string, typ: EnvelopeType): EnvelopeShape | undefined => {
  const parts = text.split('.', 4);
  const [head, body, signature] = parts;
  if (parts.length !== 3 || head === undefined || body === undefined || signature === undefined)
    return undefined;
  if (head.length > MAX_HEADER_LENGTH || body === '' || signature.length !== SIGNATURE_LENGTH)
    return undefined;
  const headBytes = fromBase64url(head);
  // The signature does not cover its own spelling, so slack in it would be a byte that can be altered unseen.
  if (
    headBytes === undefined ||
    fromBase64url(body) === undefined ||
    fromBase64url(signature) === undefined
  ) {
    return undefined;
  }
  const header = readStrictJson(headBytes);
  if (!header.ok || !isRecord(header.value)) return undefined;
  const { alg, kid, typ: type, ...rest } = header.value;
  if (Object.keys(rest).length > 0 || type !== typ) return undefined;
  if (typeof alg !== 'string' || !ALGORITHMS.includes(alg)) return undefined;
  return typeof kid === 'string' && isKid(kid) ? { kid, text } : undefined;
};

/** Verifies; the payload's bytes, or undefined when the signature is not by this key. */
export const verifyEnvelope = async (
  shape: EnvelopeShape,
  key: CryptoKey,
): Promise<Uint8Array | undefined> => {
  try {
    const { payload } = await compactVerify(shape.text, key, { algorithms: ALGORITHMS });
    return payload;
  } catch {
    return undefined;
  }
};

/** Signs a text that is already JSON. Compact, `alg` EdDSA. */
export const signText = (typ: EnvelopeType, json: string, signer: Signer): Promise<string> =>
  new CompactSign(new TextEncoder().encode(json))
    .setProtectedHeader({ alg: 'EdDSA', kid: signer.kid, typ })
    .sign(signer.key);

/** Signs a message. */
export const signEnvelope = (typ: EnvelopeType, message: object, signer: Signer): Promise<string> =>
  signText(typ, JSON.stringify(message), signer);
