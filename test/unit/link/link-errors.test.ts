import { expect, test } from 'vitest';
import { classifyLoss, type Loss } from '../../../src/link/link-errors.ts';

const NOW = Date.UTC(2026, 5, 1);
const loss = (over: Partial<Loss>): Loss => ({
  stage: 'dialling',
  error: null,
  disconnectCode: null,
  broker: 'mqtts://broker.example:8883',
  wallMs: NOW,
  certificate: null,
  ...over,
});
const withCode = (code: string | number): Error => Object.assign(new Error('text of the library'), { code });
const kindOf = (over: Partial<Loss>): string => classifyLoss(loss(over)).kind;

test.each([
  [1, 'version'],
  [132, 'version'],
  [4, 'auth'],
  [5, 'auth'],
  [134, 'auth'],
  [135, 'auth'],
  [3, 'broker-wide'],
  [136, 'broker-wide'],
  [2, 'refused'],
] as const)('reads CONNACK code %i as %s', (code, kind) => {
  expect(kindOf({ stage: 'handshake', error: withCode(code) })).toBe(kind);
});

test.each([
  [0x8b, 'broker-wide'],
  [0x9c, 'broker-wide'],
  [0x8e, 'taken-over'],
  [0x8d, 'network'],
  [0x87, 'auth'],
  [0x97, 'refused'],
] as const)('reads a DISCONNECT with 0x%x as %s', (disconnectCode, kind) => {
  expect(kindOf({ stage: 'up', disconnectCode })).toBe(kind);
});

test('tells a close before the greeting from one of a standing link, and both from a port that is closed', () => {
  expect(kindOf({ stage: 'handshake' })).toBe('closed-early');
  expect(kindOf({ stage: 'handshake', error: withCode('ECONNRESET') })).toBe('closed-early');
  expect(kindOf({ stage: 'up', error: withCode('ECONNRESET') })).toBe('closed');
  expect(kindOf({ stage: 'dialling', error: withCode('ECONNRESET') })).toBe('network');
  expect(kindOf({ error: withCode('ECONNREFUSED') })).toBe('network');
  expect(kindOf({ stage: 'up', error: new Error('Keepalive timeout') })).toBe('network');
  expect(kindOf({ stage: 'handshake', error: new Error('connack timeout') })).toBe('network');
});

test('takes a certificate that is not valid yet for a matter of the clock, and says what the clock shows', () => {
  const { kind, fault } = classifyLoss(loss({ error: withCode('CERT_NOT_YET_VALID') }));
  expect(kind).toBe('clock');
  expect(fault).toMatchObject({ code: 'BROKER_CLOCK', retryable: true });
  expect(fault.message).toContain('2026-06-01');
});

test('tells a client certificate that is over, early or refused by the alert', () => {
  const alert = { stage: 'handshake' as const, error: withCode('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED') };
  const valid = { notBeforeMs: NOW - 1e9, notAfterMs: NOW + 1e9 };
  expect(classifyLoss(loss(alert)).fault.message).toContain('wants a client certificate');
  expect(kindOf({ ...alert, certificate: valid })).toBe('certificate');
  expect(kindOf({ ...alert, certificate: { ...valid, notAfterMs: NOW - 1 } })).toBe('certificate');
  expect(kindOf({ ...alert, certificate: { ...valid, notBeforeMs: NOW + 1 } })).toBe('clock');
});

test("names what is wrong with the broker's certificate", () => {
  const message = (code: string) => classifyLoss(loss({ error: withCode(code) })).fault.message;
  expect(message('ERR_TLS_CERT_ALTNAME_INVALID')).toContain('another name');
  expect(message('SELF_SIGNED_CERT_IN_CHAIN')).toContain('mqtt.caFile');
  expect(message('CERT_HAS_EXPIRED')).toContain('2026-06-01');
  expect(message('ERR_SSL_WRONG_VERSION_NUMBER')).toContain('speak TLS');
});

test("never repeats the library's own text", () => {
  for (const code of ['EPROTO', 'EWHATEVER', 4, 135, 0x97])
    expect(classifyLoss(loss({ error: withCode(code) })).fault.message).not.toContain('library');
});
