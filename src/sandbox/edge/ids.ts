import { randomBytes } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BASE = BigInt(ALPHABET.length);
const ID_LENGTH = 27;
const TIME_BYTES = 6;
const RANDOM_BYTES = 14;

/** An id in ngrok's form: prefix, underscore, 27 letters and digits. Later ids sort behind earlier ones. */
export const newId = (prefix: string, wallMs: number): string => {
  const bytes = Buffer.alloc(TIME_BYTES + RANDOM_BYTES);
  bytes.writeUIntBE(Math.max(0, Math.floor(wallMs)), 0, TIME_BYTES);
  randomBytes(RANDOM_BYTES).copy(bytes, TIME_BYTES);
  let rest = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  while (text.length < ID_LENGTH) {
    text = (ALPHABET[Number(rest % BASE)] ?? '0') + text;
    rest /= BASE;
  }
  return `${prefix}_${text}`;
};

/** A cookie or an endpoint's token: opaque to the agent, not to be guessed. */
export const newSecret = (): string => randomBytes(24).toString('base64');

/** First label of a random host name. */
export const newLabel = (): string => randomBytes(6).toString('hex');
