import { expect, test } from 'vitest';
import { aclRefusal, type BindTarget, badRule } from '../../../src/sandbox/api/acl.ts';

const name = (host: string, proto = 'https', port: number | null = null): BindTarget => ({
  proto,
  host,
  port,
  random: false,
});
const address = (host: string, port: number): BindTarget => ({ proto: 'tcp', host, port, random: false });
const randomTcp: BindTarget = { proto: 'tcp', host: '', port: null, random: true };

test.each<[string[], BindTarget, string | null]>([
  [[], name('x.a.com'), null],
  [[], randomTcp, null],
  [['*'], randomTcp, null],
  [['bind:*'], address('1.tcp.io', 20_001), null],
  [['bind:x.a.com'], name('X.A.com'), null],
  [['bind:X.a.com'], name('x.a.com', 'tls'), null],
  [['bind:x.a.com'], name('y.a.com'), 'ERR_NGROK_316'],
  [['bind:x.a.com'], name('y.x.a.com'), 'ERR_NGROK_316'],
  [['bind:*.a.com'], name('x.a.com'), null],
  [['bind:*.a.com'], name('y.x.a.com'), null],
  [['bind:*.a.com'], name('*.a.com'), null],
  [['bind:*.a.com'], name('a.com'), 'ERR_NGROK_316'],
  [['bind:*.a.com'], name('xa.com'), 'ERR_NGROK_316'],
  [['bind:*.a.com'], name('x.a.com.evil.com'), 'ERR_NGROK_316'],
  [['bind:x.a.com'], name('*.a.com'), 'ERR_NGROK_316'],
  [['bind:*.gw.internal'], name('d.gw.internal', 'tcp', 443), null],
  [['bind:*.gw.internal'], name('d.other.internal', 'tcp', 443), 'ERR_NGROK_316'],
  [['bind:1.tcp.io:20001'], address('1.tcp.io', 20_001), null],
  [['bind:1.tcp.io:20001'], address('1.tcp.io', 20_002), 'ERR_NGROK_308'],
  [['bind:1.tcp.io'], address('1.tcp.io', 20_001), 'ERR_NGROK_308'],
  [['bind:*.tcp.io'], address('1.tcp.io', 20_001), 'ERR_NGROK_308'],
  [['bind:1.tcp.io:20001'], name('1.tcp.io', 'https', 20_001), 'ERR_NGROK_316'],
  [['bind:1.tcp.io:20001'], randomTcp, 'ERR_NGROK_356'],
  [['bind:site=a'], name('x.a.com'), 'ERR_NGROK_316'],
  [['bind:nothing.com', 'bind:x.a.com'], name('x.a.com'), null],
])('%j lets %j through or refuses with %j', (acl, target, code) => {
  expect(aclRefusal(acl, target)?.code ?? null).toBe(code);
});

test.each([
  'bind:',
  'listen:a.com',
  'a.com',
  '**',
  'bind:https://a.com',
  'bind:a.com/x',
  'bind:a.*.com',
  'bind:**.a.com',
  'bind:*.',
  'bind:a.com:0',
  'bind:a.com:70000',
  'bind:a b',
  'bind:-a.com',
  'bind:a..com',
])('does not take %j for a rule', (rule) => {
  expect(badRule(['bind:fine.com', rule])).toBe(rule);
});

test('takes every form of rule that the grammar knows', () => {
  expect(
    badRule(['*', 'bind:*', 'bind:a.com', 'bind:*.a.com', 'bind:a.com:20002', 'bind:k=v', 'bind:*=*']),
  ).toBe(null);
});
