/** What every key of the configuration says of itself, and the shapes that several keys share. */
import { type TSchema, Type } from 'typebox';
import { NAME_PATTERN } from '../protocol/names.ts';

/** Documentation beside each key: the reference page and `config.example.json` are held against it. */
export interface KeyNotes {
  readonly description: string;
  /** Unit of a number, or form of a text: "seconds", "path". */
  readonly unit?: string;
  /** What a wrong value should have looked like; the end of an error message. */
  readonly wanted?: string;
}

/** Keywords of ours that validation passes over. */
export const NOTE_KEYWORDS = ['unit', 'wanted'] as const;

export const CLOSED = { additionalProperties: false } as const;

/** Its length goes on the wire in one byte; what does not fit there is refused only when it is used. */
export const ALPN_NAME = { maxLength: 255, pattern: '^[!-~]*$' } as const;

/** A text that may be empty. */
export const text = (fallback: string, notes: KeyNotes, maxLength = 1024) =>
  Type.String({ default: fallback, maxLength, ...notes });

/** A path; relative ones count from the configuration file's folder. */
export const path = (fallback: string, description: string) =>
  Type.String({ default: fallback, maxLength: 1024, pattern: '^[^\\u0000]*$', description, unit: 'path' });

/** A path to a secret or a key: also `credential:NAME`, a file in systemd's credentials folder. */
export const secretPath = (description: string) =>
  Type.String({
    default: '',
    maxLength: 1024,
    pattern: '^[^\\u0000]*$',
    description,
    unit: 'path or `credential:NAME`',
  });

export const flag = (fallback: boolean, description: string) =>
  Type.Boolean({ default: fallback, description });

/** A whole number between two bounds, in seconds. */
export const seconds = (fallback: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: fallback, minimum, maximum, description, unit: 'seconds' });

export const choice = <const T extends string>(
  values: readonly [T, ...T[]],
  fallback: NoInfer<T>,
  description: string,
) => Type.Unsafe<T>({ type: 'string', enum: values, default: fallback, description });

/** A section: an object that may be left out when all of its keys have defaults. */
export const section = <T extends Record<string, TSchema>>(description: string, keys: T) =>
  Type.Object(keys, { ...CLOSED, default: {}, description });

/** A map from a name of the device's own choosing. */
export const named = <T extends TSchema>(value: T, description: string) =>
  Type.Unsafe<Readonly<Record<string, Type.Static<T>>>>({
    type: 'object',
    default: {},
    additionalProperties: value,
    propertyNames: { pattern: NAME_PATTERN, maxLength: 32 },
    maxProperties: 64,
    description,
  });
