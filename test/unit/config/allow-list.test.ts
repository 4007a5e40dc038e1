import { expect, test } from 'vitest';
import { isAllowed, parseAllowEntry } from '../../../src/config/allow-list.ts';
import { parseUpstreamUrl } from '../../../src/config/upstream-ref.ts';

const allows = (entries: readonly string[], url: string): boolean => {
  const address = parseUpstreamUrl(url);
  if (!address.ok) throw new Error(address.fault.message);
  return isAllowed(entries, address.value);
};

test.each([
  ['http://127.0.0.1:8080', 'http://127.0.0.1:8080', true],
  ['http://127.0.0.1:8080', 'http://[::ffff:127.0.0.1]:8080', true],
  ['http://127.0.0.1:8080', 'https://127.0.0.1:8080', false],
  ['http://127.0.0.1:8080', 'http://127.0.0.1:8081', false],
  ['http://127.0.0.1:8080', 'http://127.0.0.2:8080', false],
  ['http://127.0.0.1:8080', 'http://localhost:8080', false],
  ['http://127.0.0.1', 'http://127.0.0.1:80', true],
  ['http://127.0.0.1/', 'http://127.0.0.1', true],
  ['http://Hmi.Local', 'http://hmi.LOCAL', true],
  ['http://hmi.local', 'http://evil.hmi.local', false],
  ['http://hmi.local', 'http://hmi.local.evil.example', false],
  ['tcp://192.168.7.0/24:502', 'tcp://192.168.7.200:502', true],
  ['tcp://192.168.7.0/24:502', 'tcp://192.168.8.1:502', false],
  ['tcp://192.168.7.0/24:502', 'tcp://192.168.7.1:503', false],
  ['tcp://192.168.7.0/24:502', 'tls://192.168.7.1:502', false],
  ['tcp://192.168.7.0/24:502', 'tcp://plc:502', false],
  ['tcp://192.168.7.0/24:502', 'tcp://[::ffff:192.168.7.9]:502', true],
  ['tcp://192.168.7.9/32:502', 'tcp://192.168.7.8:502', false],
  ['http://10.0.0.0/8', 'http://10.9.8.7', true],
  ['tcp://[fd00:7::]/64:502', 'tcp://[fd00:7::42]:502', true],
  ['tcp://[fd00:7::]/64:502', 'tcp://[fd00:8::42]:502', false],
  ['tcp://0.0.0.0/0:502', 'tcp://[fd00:7::42]:502', false],
])('the entry %s decides about %s: %s', (entry, url, expected) => {
  expect(allows([entry], url)).toBe(expected);
});

test('an empty list allows nothing', () => {
  expect(allows([], 'http://127.0.0.1:8080')).toBe(false);
});

test('one entry of many is enough, and a broken one allows nothing', () => {
  expect(allows(['rubbish', 'http://10.0.0.1'], 'http://10.0.0.1')).toBe(true);
  expect(allows(['tcp://10.0.0.0/99:1'], 'tcp://10.0.0.0:1')).toBe(false);
});

test.each([
  ['tcp://192.168.7.0/24', 'needs a port with tcp://'],
  ['tcp://192.168.7.0/33:502', 'has a prefix length that is not 0 to 32'],
  ['tcp://192.168.7.0/:502', 'has a prefix length that is not 0 to 32'],
  ['tcp://192.168.7.0/-1:502', 'has a prefix length'],
  ['tcp://192.168.7.0/08:502', 'has a prefix length'],
  ['tcp://[fd00::]/129:502', 'has a prefix length that is not 0 to 128'],
  ['http://hmi/24:80', 'has a prefix length after a name'],
  ['http://*:80', 'has no valid host'],
  ['192.168.7.0/24', 'is not a URL'],
  ['http://10.0.0.1/admin', 'has a prefix length'],
])('refuses the entry %s', (entry, why) => {
  const read = parseAllowEntry(entry);
  expect(read.ok ? '' : read.fault.message).toContain(why);
});
