/** The fields that a request's body may have, and the checks that need no knowledge of the resource. */
import { hasIdForm } from './ids.ts';
import { type Problem, type ProblemName, problem } from './problems.ts';

export type FieldKind = 'string' | 'boolean' | 'strings' | 'object' | 'objects';

export interface Field {
  readonly kind: FieldKind;
  /** Only taken at creation, only at an update, or, left out, at both. */
  readonly only?: 'create' | 'update';
  readonly required?: boolean;
  /** Prefix of the ids that a string, or each of some strings, must have (ERR_NGROK_227). */
  readonly ids?: string;
  /** Longest text in UTF-8 bytes, and what a longer one is refused with. */
  readonly maxBytes?: readonly [number, ProblemName];
  /** The only values allowed. */
  readonly oneOf?: readonly string[];
}

export type FieldTable = Readonly<Record<string, Field>>;

/** A body that was checked against a table; null and absent are the same to ngrok and left out here. */
export type Body = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const HAS_KIND: { readonly [K in FieldKind]: (value: unknown) => boolean } = {
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  strings: (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
  object: isRecord,
  objects: (value) => Array.isArray(value) && value.every(isRecord),
};

const textsOf = (value: unknown): readonly string[] =>
  typeof value === 'string'
    ? [value]
    : Array.isArray(value)
      ? value.filter((item) => typeof item === 'string')
      : [];

const checkValue = (name: string, field: Field, value: unknown): Problem | null => {
  if (!HAS_KIND[field.kind](value)) return problem('badJson', { field: name });
  for (const text of textsOf(value)) {
    if (field.ids !== undefined && !hasIdForm(text, field.ids))
      return problem('wrongPrefix', { field: name });
    if (field.maxBytes && Buffer.byteLength(text) > field.maxBytes[0]) {
      return problem(field.maxBytes[1], { field: name });
    }
    if (field.oneOf && !field.oneOf.includes(text)) return problem('badValue', { field: name });
  }
  return null;
};

/** Names first, as the real service does: an unknown field is told before a bad value. */
export const checkNames = (
  raw: Readonly<Record<string, unknown>>,
  fields: FieldTable,
  at: 'create' | 'update',
): Problem | null => {
  for (const name of Object.keys(raw)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (!field || (field.only !== undefined && field.only !== at)) {
      return problem('unknownField', { field: name });
    }
  }
  return null;
};

/** The body without nulls, or the first thing that is wrong with a value. */
export const checkValues = (
  raw: Readonly<Record<string, unknown>>,
  fields: FieldTable,
  at: 'create' | 'update',
): Body | Problem => {
  const body: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const value = raw[name] ?? undefined;
    if (value !== undefined) {
      const refused = checkValue(name, field, value);
      if (refused) return refused;
      body[name] = value;
    } else if (field.required === true && at === 'create') {
      return problem('missingField', { field: name });
    }
  }
  return body;
};

/** Most resources have these two, with the limits that are known for credentials. */
export const DESCRIBED: FieldTable = {
  description: { kind: 'string', maxBytes: [255, 'descriptionLong'] },
  metadata: { kind: 'string', maxBytes: [4096, 'metadataLong'] },
};

/** A text of a checked body; empty when absent. */
export const textOf = (body: Body, name: string): string => {
  const value = body[name];
  return typeof value === 'string' ? value : '';
};

export const listOf = (body: Body, name: string): readonly string[] => textsOf(body[name]);
