/** Building blocks that several message schemas share. */
import { Type } from 'typebox';
import { BOOT_PATTERN, DEVICE_ID_PATTERN, NAME_PATTERN, ULID_PATTERN } from './names.ts';

/** 2100-01-01, the latest time a message may name, in epoch seconds. */
export const LATEST_TIME_S = 4_102_444_800;

export const deviceIdSchema = Type.String({ pattern: DEVICE_ID_PATTERN });
export const idSchema = Type.String({ pattern: ULID_PATTERN });
export const nameSchema = Type.String({ pattern: NAME_PATTERN });
/** Epoch seconds. */
export const secondsSchema = Type.Integer({ minimum: 0, maximum: LATEST_TIME_S });
/** A counter that only rises: revisions, sequence numbers, token generations. */
export const revSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const bootSchema = Type.String({ pattern: BOOT_PATTERN });
export const clockStateSchema = Type.Enum(['ntp', 'rtc', 'floor', 'none']);
export const countSchema = Type.Integer({ minimum: 0 });

/** An object whose members the schema leaves open, with a cap on their number. */
export const openObject = (maxProperties?: number) =>
  Type.Unsafe<Readonly<Record<string, unknown>>>(
    maxProperties === undefined ? { type: 'object' } : { type: 'object', maxProperties },
  );

/** Every message schema is closed: a member it does not name refuses the message. */
export const CLOSED = { additionalProperties: false } as const;

/**
 * How sure the device is of the time: `ntp` synchronisation seen; `rtc` no such sign, but at or after both the stored
 * floor and the build time; `floor` behind one of them; `none` no clock at all.
 */
export type ClockState = 'ntp' | 'rtc' | 'floor' | 'none';
