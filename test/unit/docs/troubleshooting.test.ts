import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { CONDITION_ONLY_CODES } from '../../../src/core/condition.ts';
import { FAULT_CODES } from '../../../src/core/errors.ts';

const page = await readFile(new URL('../../../docs/troubleshooting.md', import.meta.url), 'utf8');
/** What the doctor finds beyond faults and conditions. */
const doctorFiles = ['check-broker', 'check-machine', 'check-place', 'check-secrets', 'doctor', 'judge-tls'];
const doctor = await Promise.all(
  doctorFiles.map((name) => readFile(new URL(`../../../src/doctor/${name}.ts`, import.meta.url), 'utf8')),
);
const doctorCodes = doctor.flatMap((text) =>
  [...text.matchAll(/'([A-Z]+(?:_[A-Z]+)+)'/g)].map(([, code]) => code ?? ''),
);

test('every fault code has a row that says what to do', () => {
  expect(FAULT_CODES.filter((code) => !page.includes(`| \`${code}\` |`))).toEqual([]);
});

test('every condition code has one too', () => {
  expect(CONDITION_ONLY_CODES.filter((code) => !page.includes(`| \`${code}\` |`))).toEqual([]);
});

test('every code of the doctor is on the page', () => {
  const own = doctorCodes.filter(
    (code) => !/_(PROXY|FILE|DIRECTORY|MS|CODES)$|^UNABLE_|^SELF_|^DEPTH_|^ERR_|^CERT_(NOT|HAS)_/.test(code),
  );
  expect(own.length).toBeGreaterThan(10);
  expect(own.filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
});

test('no row is about a code that does not exist', () => {
  const rows = [...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code ?? '');
  const known = new Set<string>([...FAULT_CODES, ...CONDITION_ONLY_CODES, ...doctorCodes]);
  expect(rows.filter((code) => !known.has(code))).toEqual([]);
});
