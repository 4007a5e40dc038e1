/** Walks the configuration's schema as plain JSON Schema: the keys, their notes, and the variables that set them. */
import { configSchema } from './schema.ts';

/** The parts of JSON Schema that `configSchema` uses. */
export interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly description?: string;
  readonly unit?: string;
  readonly wanted?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: boolean | SchemaNode;
  readonly items?: SchemaNode;
}

/** A key that a variable of the environment can set: everything but the sections. */
export interface Leaf {
  readonly keys: readonly string[];
  readonly variable: string;
  readonly node: SchemaNode;
}

// TypeBox types its schemas by what they validate, not by what they are.
export const ROOT = configSchema as unknown as SchemaNode;
export const ENV_PREFIX = 'LOCKKEEPER_';

/** The schema of a map's values, or null for what is no map. */
export const valuesOf = (node: SchemaNode): SchemaNode | null =>
  typeof node.additionalProperties === 'object' ? node.additionalProperties : null;

const leavesOf = (node: SchemaNode, keys: readonly string[]): readonly Leaf[] =>
  node.properties === undefined
    ? [{ keys, node, variable: ENV_PREFIX + keys.join('_').toUpperCase() }]
    : Object.entries(node.properties).flatMap(([key, child]) => leavesOf(child, [...keys, key]));

/** In the schema's order. */
export const LEAVES: readonly Leaf[] = leavesOf(ROOT, []);

/** The schema at `keys`; undefined where there is none. */
export const nodeAt = (keys: readonly (string | number)[]): SchemaNode | undefined =>
  keys.reduce<SchemaNode | undefined>((node, key) => {
    if (node === undefined) return undefined;
    if (typeof key === 'number') return node.items;
    return node.properties?.[key] ?? valuesOf(node) ?? undefined;
  }, ROOT);

/** Applies `change` to every text of `value` whose schema says that it is a path. */
export const mapPaths = (node: SchemaNode, value: unknown, change: (path: string) => string): unknown => {
  if (typeof value === 'string') return node.unit?.startsWith('path') ? change(value) : value;
  if (Array.isArray(value))
    return value.map((item) => (node.items ? mapPaths(node.items, item, change) : item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => {
      const below = node.properties?.[key] ?? valuesOf(node);
      return [key, below ? mapPaths(below, child, change) : child];
    }),
  );
};
