/** What `lockkeeperd --check` prints: the effective configuration, the same text for the same meaning. */
import type { Config } from './config.ts';
import { ROOT, type SchemaNode, valuesOf } from './schema-keys.ts';
import { looksSecret } from './secret-guard.ts';

const byText = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/** Keys in the schema's order, the device's own names in alphabetical order, secrets masked. */
const ordered = (node: SchemaNode | undefined, value: unknown): unknown => {
  if (typeof value === 'string') return looksSecret(value) ? '***' : value;
  if (Array.isArray(value)) return value.map((item) => ordered(node?.items, item));
  if (typeof value !== 'object' || value === null) return value;
  const entries = new Map(Object.entries(value));
  const values = node === undefined ? null : valuesOf(node);
  const keys =
    node?.properties === undefined ? [...entries.keys()].sort(byText) : Object.keys(node.properties);
  return Object.fromEntries(
    keys
      .filter((key) => entries.has(key))
      .map((key) => [key, ordered(node?.properties?.[key] ?? values ?? undefined, entries.get(key))]),
  );
};

/** The configuration as indented JSON with a line feed at its end. */
export const formatConfig = (config: Config): string => `${JSON.stringify(ordered(ROOT, config), null, 2)}\n`;
