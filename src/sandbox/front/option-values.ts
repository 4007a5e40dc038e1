import { refuse } from './refused-bind.ts';

/** An object with unknown members. */
export type Options = Readonly<Record<string, unknown>>;

export const isOptions = (value: unknown): value is Options =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The object under `key`; null when it is absent. Refuses anything else. */
export const optionsAt = (from: Options, key: string): Options | null => {
  const value = from[key];
  if (value === undefined || value === null) return null;
  return isOptions(value) ? value : refuse(`${key} must be an object.`);
};

/** The list of strings under `key`; empty when it is absent. Refuses anything else. */
export const stringsAt = (from: Options, key: string): readonly string[] => {
  const value = from[key];
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((item): item is string => typeof item === 'string')) return value;
  return refuse(`${key} must be a list of strings.`);
};

/** The string under `key`; null when it is absent. Refuses anything else. */
export const stringAt = (from: Options, key: string): string | null => {
  const value = from[key];
  if (value === undefined || value === null) return null;
  return typeof value === 'string' ? value : refuse(`${key} must be a string.`);
};

/** The number under `key`; null when it is absent. Refuses anything else. */
export const numberAt = (from: Options, key: string): number | null => {
  const value = from[key];
  if (value === undefined || value === null) return null;
  return typeof value === 'number' && Number.isFinite(value) ? value : refuse(`${key} must be a number.`);
};

/** The boolean under `key`; null when it is absent. Refuses anything else. */
export const booleanAt = (from: Options, key: string): boolean | null => {
  const value = from[key];
  if (value === undefined || value === null) return null;
  return typeof value === 'boolean' ? value : refuse(`${key} must be true or false.`);
};

/** PEM text that travels as base64 under `key`. Refuses an absent or empty one. */
export const pemAt = (from: Options, key: string): string => {
  const value = stringAt(from, key);
  if (value === null || value === '') return refuse(`${key} is missing.`);
  return Buffer.from(value, 'base64').toString('utf8');
};
