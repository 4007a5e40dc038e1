import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkAcl, isUnrestricted, mayBind, ruleFor } from '../../../src/fleet/acl.ts';
import { aclRefusal } from '../../../src/sandbox/api/acl.ts';

test.each([
  ['https://press-7.site-a.example', 'bind:press-7.site-a.example'],
  ['https://Press-7.Site-A.Example', 'bind:press-7.site-a.example'],
  ['https://*.site-a.example', 'bind:*.site-a.example'],
  ['tls://press-7.site-a.example', 'bind:press-7.site-a.example'],
  ['tcp://1.tcp.ngrok.io:20002', 'bind:1.tcp.ngrok.io:20002'],
  ['tcp://plc.site-a.internal:502', 'bind:plc.site-a.internal'],
  ['', undefined],
  ['not a url', undefined],
])('the rule for %s is %s, and covers it', (url, rule) => {
  expect(ruleFor(url)).toBe(rule);
  if (rule !== undefined) expect(mayBind([rule], url)).toBe(true);
});

test('an empty list is refused, and so is what is no rule', () => {
  for (const rules of [
    [],
    ['connect:*'],
    ['bind:'],
    ['bind:a b'],
    ['bind:*.'],
    ['bind:a.*.b'],
    ['bind:x:99999'],
  ])
    expect(checkAcl(rules).ok).toBe(false);
  expect(checkAcl(['bind:B.test', 'bind:a.test', 'bind:b.test'])).toEqual({
    ok: true,
    value: ['bind:a.test', 'bind:b.test'],
  });
  expect(isUnrestricted([])).toBe(true);
  expect(isUnrestricted(['bind:a.test', '*'])).toBe(true);
});

test('judges as the edge of the sandbox does, which has a matcher of its own', () => {
  const host = fc.constantFrom(
    'a.test',
    'b.a.test',
    'c.b.a.test',
    'xa.test',
    '*.a.test',
    'plc.internal',
    'b.plc.internal',
    '1.tcp.ngrok.io',
  );
  const rule = fc.oneof(
    fc.constantFrom('*', 'bind:*', 'bind:1.tcp.ngrok.io:20001', 'bind:1.tcp.ngrok.io:20002'),
    host.map((name) => `bind:${name}`),
    fc.constantFrom('bind:*.a.test', 'bind:*.b.a.test', 'bind:*.internal', 'bind:*.tcp.ngrok.io'),
  );
  fc.assert(
    fc.property(
      fc.array(rule, { minLength: 1, maxLength: 3 }),
      host,
      fc.constantFrom('https', 'tls', 'tcp'),
      fc.constantFrom(20_001, 20_002),
      (rules, name, proto, port) => {
        const url = proto === 'tcp' ? `tcp://${name}:${port}` : `${proto}://${name}`;
        const refusal = aclRefusal(rules, {
          proto,
          host: name,
          port: proto === 'tcp' ? port : 443,
          random: false,
        });
        expect(mayBind(rules, url)).toBe(refusal === null);
      },
    ),
    { numRuns: 1000 },
  );
});
