import { expect, test } from 'vitest';
import type { FrontEnd } from '../../../src/sandbox/contract.ts';
import { checkHostName, type Target, targetOf, urlOf } from '../../../src/sandbox/edge/address.ts';
import { parseBind } from '../../../src/sandbox/edge/bind-request.ts';

const ask = (proto: string, opts: object, bindings: readonly string[] = []) => {
  const request = parseBind({ Id: '', Proto: proto, Opts: opts, Extra: { Token: '', Bindings: bindings } });
  if (request === null) throw new Error('not a bind');
  return targetOf(request, 'edge.test', false);
};

test.each(['a.edge.test', '*.edge.test', 'x-1.b.c', `${'a'.repeat(63)}.test`])(
  'accepts the name %s',
  (name) => {
    expect(checkHostName(name)).toBeNull();
  },
);

test.each([
  'edge',
  '',
  'a..test',
  '-a.test',
  'a-.test',
  'a_b.test',
  'a.edge.test:443',
  'a b.test',
  '*.*.test',
  `${'a'.repeat(64)}.test`,
  `${'a.'.repeat(130)}test`,
])('refuses the name "%s" with 326', (name) => {
  expect(checkHostName(name)).toMatchObject({ code: 'ERR_NGROK_326' });
});

test('names are lower-cased; Hostname wins over Domain; a subdomain is one of the domain', () => {
  expect(ask('https', { Domain: 'A.Edge.Test' })).toMatchObject({ host: 'a.edge.test', random: false });
  expect(ask('https', { Hostname: 'b.edge.test', Domain: '' })).toMatchObject({ host: 'b.edge.test' });
  expect(ask('http', { Subdomain: 'Sub' })).toMatchObject({ host: 'sub.edge.test', random: false });
});

test('no name gives a random one under the domain, or under .internal for that binding', () => {
  const target = ask('tls', { Domain: '' });
  expect(target).toMatchObject({ random: true, binding: 'public' });
  expect((target as Target).host).toMatch(/^[0-9a-f]{12}\.edge\.test$/);
  expect((ask('https', {}, ['internal']) as Target).host).toMatch(/^[0-9a-f]{12}\.internal$/);
  expect(ask('tcp', { Addr: '' })).toMatchObject({ host: '127.0.0.1', port: 0, random: true });
});

test('the binding follows from the name, and must not contradict it', () => {
  expect(ask('https', { Domain: 'a.site.internal' })).toMatchObject({ binding: 'internal' });
  expect(ask('tcp', { Addr: 'plc.site.internal:502' })).toMatchObject({ binding: 'internal', port: 502 });
  expect(ask('https', { Domain: 'a.site.internal' }, ['public'])).toMatchObject({ code: 'ERR_NGROK_326' });
  expect(ask('https', { Domain: 'a.edge.test' }, ['internal'])).toMatchObject({ code: 'ERR_NGROK_326' });
  expect(ask('tcp', { Addr: '' }, ['internal'])).toMatchObject({ code: 'ERR_NGROK_326' });
});

test.each(['nonsense', 'a.test', 'a.test:0', 'a.test:70000', 'a b:1'])(
  'refuses the tcp address "%s"',
  (addr) => {
    expect(ask('tcp', { Addr: addr })).toMatchObject({ code: 'ERR_NGROK_326' });
  },
);

test('URLs carry the port of the front end where it is not the own one of the scheme, unless told not to', () => {
  const front = { httpPort: 8080, httpsPort: 443 } as FrontEnd;
  const target: Target = { proto: 'http', host: 'a.edge.test', port: null, random: false, binding: 'public' };
  expect(urlOf(target, front, true)).toBe('http://a.edge.test:8080');
  expect(urlOf(target, front, false)).toBe('http://a.edge.test');
  expect(urlOf({ ...target, proto: 'https' }, front, true)).toBe('https://a.edge.test');
  expect(urlOf({ ...target, proto: 'tcp', port: 22 }, front, false)).toBe('tcp://a.edge.test:22');
  expect(urlOf({ ...target, host: 'a.internal', binding: 'internal' }, front, true)).toBe(
    'http://a.internal',
  );
});
