/** Runs the message schemas. Errors are short paths and expectations, never the value that was received. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Static, TSchema } from 'typebox';
import { commandSchema } from './command-schema.ts';
import { desiredSchema } from './desired-schema.ts';
import { eventSchema } from './event-schema.ts';
import { healthSchema } from './health-schema.ts';
import { helloSchema, presenceSchema } from './presence-schema.ts';
import { reportedSchema } from './reported-schema.ts';
import { resultSchema } from './result-schema.ts';

/** A checked value, or one sentence that names the first thing wrong. */
export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string };

// The schemas use `required` and `pattern` inside `then` without repeating the type, as JSON Schema allows.
const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, ownProperties: true });

/** Members' names can come from the sender: shown only when they look like names, and are shorter than a token. */
const isPrintableName = (name: unknown): name is string =>
  typeof name === 'string' && /^[A-Za-z0-9_.-]{1,32}$/.test(name);
const printableName = (name: unknown): string => (isPrintableName(name) ? name : 'an unknown member');

/** `/args/0/lease_s` as `args[0].lease_s`. */
const pathOf = (pointer: string): string =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => (isPrintableName(part) ? part : '?'))
    .map((part, index) => (/^\d+$/.test(part) ? `[${part}]` : `${index === 0 ? '' : '.'}${part}`))
    .join('');

const expectation = (error: ErrorObject): string => {
  const params = error.params as Readonly<Record<string, unknown>>;
  switch (error.keyword) {
    case 'additionalProperties':
      return `must not have ${printableName(params['additionalProperty'])}`;
    case 'required':
      return `must have ${String(params['missingProperty'])}`;
    case 'enum':
      return `must be one of ${(params['allowedValues'] as readonly unknown[]).join(' ')}`;
    case 'const':
      return `must be ${String(params['allowedValue'])}`;
    case 'type':
      return `must be ${String(params['type'])}`;
    case 'pattern':
    case 'anyOf':
      return 'has the wrong form';
    default:
      return error.message ?? 'is not valid';
  }
};

/** The first error as a sentence. `if` and the branches of `anyOf` only repeat what another error says better. */
const describe = (errors: readonly ErrorObject[]): string => {
  const error =
    errors.find((e) => e.keyword === 'anyOf') ?? errors.find((e) => e.keyword !== 'if') ?? errors[0];
  if (error === undefined) return 'is not valid';
  const path = pathOf(error.instancePath);
  return `${path === '' ? 'message' : path} ${expectation(error)}`;
};

/** A function that checks one schema, compiled at first use: a command line tool needs few of them. */
export const checker = <S extends TSchema>(schema: S): ((value: unknown) => Checked<Static<S>>) => {
  const cell: { run?: ValidateFunction } = {};
  return (value) => {
    const run = cell.run ?? ajv.compile(schema);
    cell.run = run;
    return run(value)
      ? { ok: true, value: value as Static<S> }
      : { ok: false, message: describe(run.errors ?? []) };
  };
};

export const checkCommand = checker(commandSchema);
export const checkDesired = checker(desiredSchema);
export const checkResult = checker(resultSchema);
export const checkReported = checker(reportedSchema);
export const checkHealth = checker(healthSchema);
export const checkEvent = checker(eventSchema);
export const checkPresence = checker(presenceSchema);
export const checkHello = checker(helloSchema);
