import { describe, expect, test } from 'vitest';
import { clientAddrOf } from '../../../src/sandbox/front/address.ts';
import { proxyHeader } from '../../../src/sandbox/front/proxy-header.ts';

const v4 = { clientIp: '203.0.113.7', clientPort: 57_866, serverIp: '127.0.0.1', serverPort: 443 };
const v6 = { clientIp: '2001:db8::1:0:9', clientPort: 1, serverIp: '::1', serverPort: 65_535 };

describe('version 1', () => {
  test('names both ends', () => {
    expect(proxyHeader(1, v4).toString()).toBe('PROXY TCP4 203.0.113.7 127.0.0.1 57866 443\r\n');
    expect(proxyHeader(1, v6).toString()).toBe('PROXY TCP6 2001:db8::1:0:9 ::1 1 65535\r\n');
  });

  test('says UNKNOWN when the ends are of two families', () => {
    expect(proxyHeader(1, { ...v4, serverIp: '::1' }).toString()).toBe('PROXY UNKNOWN\r\n');
  });
});

describe('version 2', () => {
  const SIGNATURE = '0d0a0d0a000d0a515549540a';

  test('packs IPv4', () => {
    expect(proxyHeader(2, v4).toString('hex')).toBe(`${SIGNATURE}2111000ccb0071077f000001e20a01bb`);
  });

  test('packs IPv6', () => {
    expect(proxyHeader(2, v6).toString('hex')).toBe(
      `${SIGNATURE}21210024${'20010db8000000000000000100000009'}${'00000000000000000000000000000001'}0001ffff`,
    );
  });

  test('maps IPv4 when the other end is IPv6', () => {
    expect(proxyHeader(2, { ...v6, clientIp: '10.0.0.1' }).toString('hex')).toContain(
      '00000000000000000000ffff0a000001',
    );
  });
});

test('a client address has brackets only around IPv6', () => {
  expect([clientAddrOf(v4), clientAddrOf(v6)]).toEqual(['203.0.113.7:57866', '[2001:db8::1:0:9]:1']);
});
