/** Encrypts state at rest under a key that lives elsewhere. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** Seals and opens short texts. */
export interface StateCipher {
  /** Base64url of nonce, tag and ciphertext; different at every call. */
  seal(plain: string): string;
  /** Undefined when the text was sealed under another key or altered. */
  open(sealed: string): string | undefined;
}

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * A cipher whose key is HKDF-SHA-256 of the secret's bytes. `purpose` separates uses: two purposes never share a
 * key.
 */
export const createStateCipher = (secret: Uint8Array, purpose: string): StateCipher => {
  const key = Buffer.from(hkdfSync('sha256', secret, 'lockkeeper-state', purpose, KEY_BYTES));
  return {
    seal: (plain) => {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
      const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url');
    },
    open: (sealed) => {
      const bytes = Buffer.from(sealed, 'base64url');
      if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const tag = bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
      const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
      decipher.setAuthTag(tag);
      try {
        const body = bytes.subarray(NONCE_BYTES + TAG_BYTES);
        const plain = Buffer.concat([decipher.update(body), decipher.final()]);
        const text = plain.toString('utf8');
        plain.fill(0);
        return text;
      } catch {
        return undefined;
      }
    },
  };
};
