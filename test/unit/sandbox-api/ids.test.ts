import { expect, test } from 'vitest';
import { base62, createIds, hasIdForm } from '../../../src/sandbox/api/ids.ts';
import { hasTokenForm, isPrintable, newSecret } from '../../../src/sandbox/api/tokens.ts';
import { manualClock } from '../../support/manual-clock.ts';

test('orders ids made in the same millisecond and over a wall clock that steps back', async () => {
  const clock = manualClock();
  const newId = createIds(clock);
  const ids = [newId(), newId(), newId()];
  await clock.advance(5);
  ids.push(newId());
  clock.setWall(0);
  ids.push(newId(), newId());
  expect([...ids].sort((a, b) => (a < b ? -1 : 1))).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[0-9A-Za-z]{27}$/);
});

test('writes numbers in base62 with the digits in ASCII order', () => {
  expect(base62(0n, 3)).toBe('000');
  expect(base62(61n, 2)).toBe('0z');
  expect(base62(62n, 2)).toBe('10');
});

test('tells an id by its prefix and length', () => {
  const id = createIds(manualClock())();
  expect(hasIdForm(`cr_${id}`, 'cr')).toBe(true);
  expect(hasIdForm(`ak_${id}`, 'cr')).toBe(false);
  expect(hasIdForm(`cr_${id}x`, 'cr')).toBe(false);
  expect(hasIdForm(id, 'cr')).toBe(false);
});

test('gives secrets the form that it recognises', () => {
  const secret = newSecret(createIds(manualClock())());
  expect(hasTokenForm(secret)).toBe(true);
  expect(hasTokenForm('tokA')).toBe(false);
  expect(hasTokenForm(secret.replace('_', '-'))).toBe(false);
});

test.each([
  ['tok A ü', true],
  ['', false],
  ['a\nb', false],
  ['a\u0000', false],
])('judges whether %j is printable', (text, expected) => {
  expect(isPrintable(text)).toBe(expected);
});
