/** Ed25519 keys: the ones that sign commands and documents, and the root keys that sign key sets. */
import { importJWK } from 'jose';
import { toBase64url } from './base64url.ts';

/** A private signing key as it is kept in a 0600 file. `x` and `d` are base64url, 32 bytes each; `d` is a secret. */
export interface SigningKeyFile {
  readonly kid: string;
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly d: string;
}

/** The public half, as key sets and `trust.keysFile` carry it. */
export interface PublicSigningKey {
  readonly kid: string;
  readonly x: string;
}

/** Ready to sign. */
export interface Signer {
  readonly kid: string;
  readonly key: CryptoKey;
}

type CryptoKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

export type { CryptoKey };

/** Makes a key pair from the system's random source. */
export const makeSigningKey = async (kid: string): Promise<SigningKeyFile> => {
  const pair = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as {
    readonly privateKey: CryptoKey;
  };
  const { x, d } = await crypto.subtle.exportKey('jwk', pair.privateKey);
  if (x === undefined || d === undefined) throw new TypeError('an Ed25519 key exports x and d');
  return { kid, kty: 'OKP', crv: 'Ed25519', x, d };
};

/** Prepares a private key for signing; the result cannot be exported again. */
export const importSigner = async ({ kid, kty, crv, x, d }: SigningKeyFile): Promise<Signer> => ({
  kid,
  key: (await importJWK({ kty, crv, x, d }, 'EdDSA', { extractable: false })) as CryptoKey,
});

/** Prepares a public key for verifying. Rejects when `x` is not a key. */
export const importVerifier = async (x: string): Promise<CryptoKey> =>
  (await importJWK({ kty: 'OKP', crv: 'Ed25519', x }, 'EdDSA')) as CryptoKey;

/** SHA-256 of bytes or text, base64url: tells two documents apart. */
export const sha256 = async (content: Uint8Array | string): Promise<string> => {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : new Uint8Array(content);
  return toBase64url(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
};
