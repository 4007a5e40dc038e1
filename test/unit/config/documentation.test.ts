import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configurationPage } from '../../../docs/configuration-page.ts';
import { LEAVES, ROOT, type SchemaNode, valuesOf } from '../../../src/config/schema-keys.ts';
import { loadGood } from '../../support/config-fixture.ts';
import { REPO_DIR } from '../../support/spawn-node.ts';

const example = await readFile(join(REPO_DIR, 'config.example.json'), 'utf8');

/** Every key of the schema by its path, with `[]` for a list's entries and `*` for names of the device's own. */
const schemaPaths = (node: SchemaNode, path: string): readonly string[] => {
  const inner = valuesOf(node) ?? node.items;
  const below = inner === undefined ? [] : schemaPaths(inner, `${path}${node.items ? '[]' : '.*'}`);
  const keys = Object.entries(node.properties ?? {}).flatMap(([key, child]) => [
    `${path}.${key}`,
    ...schemaPaths(child, `${path}.${key}`),
  ]);
  return [...below, ...keys];
};

const valuePaths = (node: SchemaNode | undefined, value: unknown, path: string): readonly string[] => {
  if (Array.isArray(value)) return value.flatMap((item) => valuePaths(node?.items, item, `${path}[]`));
  if (typeof value !== 'object' || value === null) return [];
  const values = node === undefined ? null : valuesOf(node);
  return Object.entries(value).flatMap(([key, child]) =>
    values === null
      ? [`${path}.${key}`, ...valuePaths(node?.properties?.[key], child, `${path}.${key}`)]
      : valuePaths(values, child, `${path}.*`),
  );
};

test('the example has every key of the schema', () => {
  const shown = new Set(valuePaths(ROOT, JSON.parse(example), ''));
  expect(schemaPaths(ROOT, '').filter((path) => !shown.has(path))).toEqual([]);
});

test('the example is valid', async () => {
  const { config } = await loadGood({
    config: example,
    files: {
      '/etc/lockkeeper/keys.json': '{}',
      '/etc/lockkeeper/policies/office-only.yml': 'on_http_request: []',
    },
  });
  expect(config.endpoints.map(({ name }) => name)).toEqual(['web', 'modbus']);
});

test('the reference page is what the schema says', async () => {
  expect(await readFile(join(REPO_DIR, 'docs/configuration.md'), 'utf8')).toBe(configurationPage());
});

test('every key has a meaning, and every number a unit', () => {
  const lacking = LEAVES.filter(({ node }) => !node.description || (node.type === 'integer' && !node.unit));
  expect(lacking.map(({ keys }) => keys.join('.'))).toEqual([]);
});

test('no two keys share a variable', () => {
  expect(new Set(LEAVES.map(({ variable }) => variable)).size).toBe(LEAVES.length);
});
