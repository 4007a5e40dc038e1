/** Holds a merged configuration against the schema: defaults filled in, every mistake explained with its path. */
import { Ajv, type ErrorObject } from 'ajv';
import { closest } from './closest.ts';
import { type ConfigProblem, joinPath, problem } from './problem.ts';
import { configSchema, type SchemaConfig } from './schema.ts';
import { LEAVES, nodeAt, type SchemaNode } from './schema-keys.ts';
import { NOTE_KEYWORDS } from './schema-parts.ts';

/** `value` is there even when there are problems, for the checks of the parts that are sound. */
export interface SchemaVerdict {
  readonly value: SchemaConfig;
  readonly problems: readonly ConfigProblem[];
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a text in quotes',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  null: 'null',
};

const keysOf = (pointer: string): readonly (string | number)[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part.replaceAll('~1', '/').replaceAll('~0', '~')));

/** What was received, where that cannot be a secret: numbers and switches as they are, the rest by kind. */
const received = (value: unknown): string => {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null)
    return `not ${String(value)}`;
  if (Array.isArray(value)) return 'not a list';
  return typeof value === 'string' ? 'not a text' : 'not an object';
};

const wanted = (node: SchemaNode | undefined): string =>
  node?.wanted === undefined ? '' : `; give ${node.wanted}`;

const unknownKey = (node: SchemaNode | undefined, key: string): string => {
  const siblings = Object.keys(node?.properties ?? {});
  if (siblings.includes(`${key}File`)) return `is not a key; secrets come as files: ${key}File`;
  const near = closest(key, siblings);
  if (near !== null) return `is not a key; did you mean ${near}?`;
  const elsewhere = LEAVES.find(({ keys }) => keys.at(-1) === key);
  return elsewhere === undefined
    ? 'is not a key'
    : `is not a key here; did you mean ${joinPath(elsewhere.keys)}?`;
};

const expectation = (error: ErrorObject, node: SchemaNode | undefined): string => {
  const limit = (error.params as { readonly limit?: number }).limit ?? 0;
  switch (error.keyword) {
    case 'type': {
      const kinds = [node?.type ?? 'object'].flat().map((kind) => KINDS[kind] ?? kind);
      return `must be ${kinds.join(' or ')}, ${received(error.data)}${wanted(node)}`;
    }
    case 'enum':
      return `must be one of ${node?.enum?.join(', ') ?? ''}`;
    case 'minimum':
      return `must be at least ${limit}, not ${String(error.data)}`;
    case 'maximum':
      return `must be at most ${limit}, not ${String(error.data)}`;
    case 'maxLength':
      return `is longer than ${limit} characters`;
    case 'minLength':
      return 'must not be empty';
    case 'maxItems':
    case 'maxProperties':
      return `has more than ${limit} entries`;
    default:
      return `has the wrong form${wanted(node)}`;
  }
};

const explain = (error: ErrorObject): ConfigProblem | null => {
  const keys = keysOf(error.instancePath);
  const params = error.params as {
    readonly additionalProperty?: string;
    readonly missingProperty?: string;
    readonly propertyName?: string;
  };
  if (error.keyword === 'additionalProperties' && params.additionalProperty !== undefined) {
    const key = params.additionalProperty;
    return problem(joinPath([...keys, key]), unknownKey(nodeAt(keys), key));
  }
  if (error.keyword === 'required' && params.missingProperty !== undefined) {
    const missing = [...keys, params.missingProperty];
    return problem(joinPath(missing), `is required${wanted(nodeAt(missing))}`);
  }
  if (error.keyword === 'propertyNames' && params.propertyName !== undefined) {
    return problem(
      joinPath([...keys, params.propertyName]),
      'is not a valid name; names have 1 to 32 of a-z, 0-9 and -, beginning with a letter',
    );
  }
  // What is wrong with a name, said a second time by the parts of `propertyNames`.
  if (error.propertyName !== undefined) return null;
  return problem(joinPath(keys), expectation(error, nodeAt(keys)));
};

const ajv = new Ajv({
  allErrors: true,
  useDefaults: true,
  allowUnionTypes: true,
  verbose: true,
  ownProperties: true,
});
ajv.addVocabulary([...NOTE_KEYWORDS]);
const validate = ajv.compile<SchemaConfig>(configSchema);

/** Checks a value and fills in defaults, on a copy. */
export const checkSchema = (merged: unknown): SchemaVerdict => {
  const value = structuredClone(merged) as SchemaConfig;
  validate(value);
  return { value, problems: (validate.errors ?? []).flatMap((error) => explain(error) ?? []) };
};
