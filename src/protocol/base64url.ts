/** Base64url without slack: a text that decodes to the same bytes but is written otherwise is not the same message. */

const ALPHABET = /^[A-Za-z0-9_-]*$/;

/** Bytes as base64url without padding. */
export const toBase64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** Decodes; undefined unless the text is exactly what encoding its bytes gives. */
export const fromBase64url = (text: string): Uint8Array | undefined => {
  if (!ALPHABET.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
};

/** True for the text form of a 32-byte key. */
export const isKey32 = (text: string): boolean => fromBase64url(text)?.length === 32;
