import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { FAULT_CODES } from '../../../src/core/errors.ts';

const page = await readFile(new URL('../../../docs/troubleshooting.md', import.meta.url), 'utf8');
const condition = await readFile(new URL('../../../src/core/condition.ts', import.meta.url), 'utf8');
const conditionCodes = [...condition.matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map(([, code]) => code ?? '');

test('every fault code has a row that says what to do', () => {
  expect(FAULT_CODES.filter((code) => !page.includes(`| \`${code}\` |`))).toEqual([]);
});

test('every condition code has one too', () => {
  expect(conditionCodes.length).toBeGreaterThan(5);
  expect(conditionCodes.filter((code) => !page.includes(`| \`${code}\` |`))).toEqual([]);
});

test('no row is about a code that does not exist', () => {
  const rows = [...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code ?? '');
  const known = new Set<string>([...FAULT_CODES, ...conditionCodes]);
  expect(rows.filter((code) => !known.has(code))).toEqual([]);
});
