import { expect, test } from 'vitest';
import { parseFilter } from '../../../src/sandbox/api/filter.ts';

const FIELDS = ['id', 'metadata', 'principal.id', 'credential', 'pooling_enabled', 'port'];
const ITEM = {
  id: 'ep_1',
  metadata: '{"device":"d \\"1\\""}',
  principal: { id: 'usr_1' },
  credential: { id: 'cr_1' },
  pooling_enabled: true,
  port: 443,
};

test.each([
  ['obj.id == "ep_1"', true],
  ["obj.id=='ep_1'", true],
  ['obj.id == "ep_2"', false],
  ['obj.pooling_enabled == true && obj.port == 443', true],
  ['obj.pooling_enabled == true && obj.port == 80', false],
  ['obj.pooling_enabled == "true"', false],
  ['obj.principal.id == "usr_1"', true],
  ['obj.credential.id == "cr_1"', true],
  ['obj.credential.uri == null', true],
  [`obj.metadata == ${JSON.stringify(ITEM.metadata)}`, true],
  ['obj.metadata == "a && b"', false],
])('applies %s', (text, expected) => {
  expect(parseFilter(text, FIELDS)?.(ITEM)).toBe(expected);
});

test.each([
  '',
  'obj.id',
  'obj.id != "x"',
  'obj.id == "x" || obj.id == "y"',
  'obj.id == "x" &&',
  'obj.id == "x" obj.id == "y"',
  '(obj.id == "x")',
  'obj.unknown == "x"',
  'obj.identity == "x"',
  'obj.principal == "x"',
  'obj.id == x',
  'obj.id == "x',
  '"x" in obj.metadata',
  'obj.__proto__ == "x"',
])('refuses %j instead of half understanding it', (text) => {
  expect(parseFilter(text, FIELDS)).toBeNull();
});
