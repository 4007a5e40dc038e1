/** Identifiers in ngrok's form: a prefix, an underscore, 27 base62 characters whose order is the order of creation. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';

/** The digits in ASCII order, so that comparing two ids as text compares their times. */
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 27;
/** 160 bits fit in 27 base62 digits: 48 of time, 32 of sequence, 80 of chance. */
const SEQUENCE_BITS = 32n;
const CHANCE_BYTES = 10;

/** Makes the 27 characters; each call gives a greater text than the one before, even if the wall clock steps back. */
export type NewId = () => string;

/** `value` in base62, padded on the left to `length` digits. */
export const base62 = (value: bigint, length: number): string => {
  let digits = '';
  for (let rest = value; digits.length < length; rest /= 62n)
    digits = (BASE62[Number(rest % 62n)] ?? '') + digits;
  return digits;
};

/** `length` random base62 characters. */
export const randomBase62 = (length: number): string =>
  base62(BigInt(`0x${randomBytes(length).toString('hex')}`), length);

export const createIds = (clock: Clock): NewId => {
  let lastMs = 0;
  let sequence = 0n;
  return () => {
    const nowMs = Math.trunc(clock.wall());
    if (nowMs > lastMs) {
      lastMs = nowMs;
      sequence = 0n;
    } else {
      sequence += 1n;
    }
    const chance = BigInt(`0x${randomBytes(CHANCE_BYTES).toString('hex')}`);
    const value = (((BigInt(lastMs) << SEQUENCE_BITS) | sequence) << BigInt(CHANCE_BYTES * 8)) | chance;
    return base62(value, ID_LENGTH);
  };
};

/** True when `text` is `prefix` and 27 base62 characters. */
export const hasIdForm = (text: string, prefix: string): boolean =>
  text.startsWith(`${prefix}_`) && /^[0-9A-Za-z]{27}$/.test(text.slice(prefix.length + 1));
