/** Identifiers that are made at run time: command ids and boot nonces. */
import { type PRNG, ulid } from 'ulid';
import type { Clock } from '../core/clock.ts';

/** Fills an array with unpredictable bytes. */
export type RandomBytes = (length: number) => Uint8Array;

const cryptoBytes: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));

const BOOT_NONCE_BYTES = 8;

/** A fresh command id (ULID): sorts by the clock's wall time, 80 random bits after it. */
export const newCommandId = (clock: Pick<Clock, 'wall' | 'random'>): string => {
  const prng: PRNG = () => clock.random();
  return ulid(clock.wall(), prng);
};

/**
 * The nonce of one start, 16 hex digits. A command that repeats it proves that it was made after this start, which
 * is the only proof of freshness a device without a clock can have; so it comes from the system's random source.
 */
export const newBootNonce = (randomBytes: RandomBytes = cryptoBytes): string =>
  Buffer.from(randomBytes(BOOT_NONCE_BYTES)).toString('hex');
