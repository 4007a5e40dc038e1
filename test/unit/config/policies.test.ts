import { expect, test } from 'vitest';
import { BENCH_CONFIG, loadBad, loadGood } from '../../support/config-fixture.ts';

const config = { ...BENCH_CONFIG, policies: { office: '/office.yml' } };

test.each([
  ['YAML', 'on_http_request:\n  - actions:\n      - type: deny\n'],
  ['JSON', '{"on_http_request":[{"actions":[{"type":"deny"}]}]}'],
])('keeps a policy in %s as it is written', async (_, text) => {
  expect((await loadGood({ config, files: { '/office.yml': text } })).policyTexts).toEqual({ office: text });
});

test.each([
  ['broken YAML', 'a:\n  - b\n c: [', 'is not YAML or JSON: line 3'],
  ['a list', '- a\n- b\n', 'must hold an object'],
  ['an empty file', '', 'must hold an object'],
  ['a text', 'just words', 'must hold an object'],
  ['two members of one name', 'a: 1\na: 2\n', 'is not YAML or JSON'],
  ['too much', `a: ${'x'.repeat(140_000)}`, 'is larger than 131072 bytes'],
  [
    'an alias bomb',
    `a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c]\n`,
    'repeats itself',
  ],
])('refuses %s and names key and file', async (_, text, why) => {
  const [first] = await loadBad({ config, files: { '/office.yml': text } });
  expect(first).toContain('policies.office names a file that will not do: /office.yml');
  expect(first).toContain(why);
});
