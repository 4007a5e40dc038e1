/** `LOCKKEEPER_…` variables as configuration: names and types by the schema, values converted by env-schema. */
import { envSchema } from 'env-schema';
import { closest } from './closest.ts';
import { parseJsonText } from './json-text.ts';
import { type ConfigProblem, joinPath } from './problem.ts';
import { ENV_PREFIX, LEAVES, type Leaf } from './schema-keys.ts';

/** One key as the environment sets it. */
export interface EnvironmentValue {
  readonly leaf: Leaf;
  readonly value: unknown;
}

export interface EnvironmentReading {
  readonly values: readonly EnvironmentValue[];
  readonly problems: readonly ConfigProblem[];
  /** Variables that are set to the empty text, which counts as not set. */
  readonly empty: readonly Leaf[];
}

/** Variables of ours that are not keys of the configuration. */
const OTHERS: readonly string[] = ['LOCKKEEPER_PROFILE'];

type Primitive = 'string' | 'integer' | 'boolean';

/** How env-schema is to convert a variable: a map or list stays the JSON text that it is. */
const primitiveOf = ({ node }: Leaf): Primitive =>
  node.type === 'integer' || node.type === 'boolean' ? node.type : 'string';

const isJson = ({ node }: Leaf): boolean => node.type === 'object' || node.type === 'array';

const WANTED: Readonly<Record<Primitive, string>> = {
  string: 'must be a text',
  integer: 'must be a whole number',
  boolean: 'must be true or false',
};

const unknownVariable = (name: string): ConfigProblem => {
  const file = LEAVES.find(({ variable }) => variable === `${name}FILE`);
  const near = closest(
    name,
    LEAVES.map(({ variable }) => variable),
  );
  const hint =
    file !== undefined
      ? `; secrets come as files: ${file.variable}`
      : near === null
        ? ''
        : `; did you mean ${near}?`;
  return { path: '', message: `is not a key of the configuration${hint}`, source: name };
};

/** Converts one variable; a text that does not fit is the problem's, not the exception's. */
const convert = (leaf: Leaf, text: string): EnvironmentValue | ConfigProblem => {
  const { variable } = leaf;
  const refuse = (message: string): ConfigProblem => ({
    path: joinPath(leaf.keys),
    message,
    source: variable,
  });
  let value: unknown;
  try {
    value = envSchema({
      schema: { type: 'object', properties: { [variable]: { type: primitiveOf(leaf) } } },
      data: { [variable]: text },
      env: false,
    })[variable];
  } catch {
    return refuse(WANTED[primitiveOf(leaf)]);
  }
  if (!isJson(leaf)) return { leaf, value };
  const json = parseJsonText(text);
  return json.ok
    ? { leaf, value: json.value }
    : refuse(`must be JSON, but at line ${json.line}, column ${json.column}: ${json.problem}`);
};

/** Reads every variable that begins with `LOCKKEEPER_`, all problems at once. */
export const readEnvironment = (env: Readonly<Record<string, string | undefined>>): EnvironmentReading => {
  const names = Object.keys(env).filter((name) => name.startsWith(ENV_PREFIX) && !OTHERS.includes(name));
  const known = LEAVES.filter(({ variable }) => env[variable] !== undefined);
  const unknown = names.filter((name) => env[name] && !known.some(({ variable }) => variable === name));
  const read = known
    .filter(({ variable }) => env[variable] !== '')
    .map((leaf) => convert(leaf, env[leaf.variable] ?? ''));
  return {
    values: read.filter((result) => 'leaf' in result),
    problems: [...unknown.map(unknownVariable), ...read.filter((result) => 'path' in result)],
    empty: known.filter(({ variable }) => env[variable] === ''),
  };
};

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `value` with `keys` set; what is no object stays as it is, for the schema to complain about. */
const withKey = (value: unknown, [key, ...rest]: readonly string[], leaf: unknown): unknown => {
  if (key === undefined) return leaf;
  if (value !== undefined && !isRecord(value)) return value;
  return { ...value, [key]: withKey(value?.[key], rest, leaf) };
};

/** The file's value with the environment's laid over it. */
export const overlay = (file: unknown, values: readonly EnvironmentValue[]): unknown =>
  values.reduce((merged, { leaf, value }) => withKey(merged, leaf.keys, value), file);
