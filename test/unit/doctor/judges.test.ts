import { expect, test } from 'vitest';
import type { LinkStatus } from '../../../src/daemon/ports.ts';
import { judgeLink } from '../../../src/doctor/check-broker.ts';
import { judgeService } from '../../../src/doctor/check-service.ts';
import { judgeStatus } from '../../../src/doctor/doctor.ts';
import { type HandshakeFacts, judgeHandshake } from '../../../src/doctor/judge-tls.ts';

const NOW = Date.UTC(2026, 10, 26);
const DAY = 86_400_000;

const facts = (more: Partial<HandshakeFacts> = {}): HandshakeFacts => ({
  host: 'broker.example',
  error: null,
  subject: 'broker.example',
  issuer: 'Acme CA',
  notBeforeMs: NOW - 100 * DAY,
  notAfterMs: NOW + 100 * DAY,
  ...more,
});

test.each([
  [facts(), 'OK', 'ok'],
  [facts({ error: 'CERT_NOT_YET_VALID', notBeforeMs: NOW + DAY }), 'CLOCK_BEHIND', 'error'],
  [facts({ notBeforeMs: NOW + DAY }), 'CLOCK_BEHIND', 'error'],
  [facts({ error: 'CERT_HAS_EXPIRED', notAfterMs: NOW - DAY }), 'CERT_EXPIRED', 'error'],
  [facts({ notAfterMs: NOW + 5 * DAY }), 'CERT_ENDS_SOON', 'warning'],
  [facts({ error: 'SELF_SIGNED_CERT_IN_CHAIN', issuer: 'Corporate Proxy' }), 'TLS_INTERCEPTED', 'error'],
  [facts({ error: 'ERR_TLS_CERT_ALTNAME_INVALID', subject: 'portal' }), 'CERT_NAME', 'error'],
  [facts({ error: 'EPROTO' }), 'TLS_FAILED', 'error'],
])('a handshake %o is %s', (handshake, code, severity) => {
  expect(judgeHandshake('broker', handshake, true, NOW)).toMatchObject({ code, severity });
});

test('whoever opens TLS on the way is named', () => {
  const found = judgeHandshake(
    'edge',
    facts({ error: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', issuer: 'Corporate Proxy' }),
    false,
    NOW,
  );
  expect(found.message).toContain('Corporate Proxy');
  expect(found.advice).not.toBe('');
});

const link = (more: Partial<LinkStatus> = {}): LinkStatus => ({
  state: 'connected',
  broker: 'mqtts://broker.example:8883',
  protocol: 5,
  sinceMs: 0,
  connects: 1,
  lastError: null,
  refusedFilters: [],
  problems: [],
  certificateDaysLeft: null,
  ...more,
});

test('a topic that the broker does not let the device read is named', () => {
  const found = judgeLink(link({ refusedFilters: ['lk1/acme/d/press-7/cmd/+'] }));
  expect(found.map(({ code }) => code)).toEqual(['OK', 'SUBSCRIBE_DENIED']);
  expect(found[1]?.message).toContain('lk1/acme/d/press-7/cmd/+');
});

test('a login that is refused, and a certificate that ends, are told with what to do', () => {
  const fault = {
    code: 'BROKER_AUTH_REFUSED' as const,
    message: 'The broker refuses the login.',
    retryable: true,
  };
  expect(judgeLink(link({ state: 'offline', lastError: fault }))).toMatchObject([
    { code: 'BROKER_AUTH_REFUSED', severity: 'error' },
  ]);
  expect(judgeLink(link({ certificateDaysLeft: 3 }))).toMatchObject([
    { code: 'OK' },
    { code: 'CERT_ENDS_SOON', severity: 'warning' },
  ]);
});

test('the conditions of a running daemon are findings, each as severe as it says', () => {
  const found = judgeStatus({
    version: '1',
    session: { state: 'auth-failed', lastError: { code: 'NGROK_AUTH_REFUSED', message: 'refused' } },
    link: { state: 'connected' },
    conditions: [
      { code: 'UPSTREAM_DOWN', severity: 'warning', message: 'down' },
      { code: 'STORE_DEGRADED', severity: 'error', message: 'full' },
    ],
  });
  expect(found.map(({ code, severity }) => `${severity} ${code}`)).toEqual([
    'ok OK',
    'error NGROK_AUTH_REFUSED',
    'warning UPSTREAM_DOWN',
    'error STORE_DEGRADED',
  ]);
});

test('an endpoint that stays shut is named with its reason, and what to do', () => {
  const [, found] = judgeStatus({
    conditions: [
      { code: 'NGROK_ACL_DENIED', severity: 'error', message: 'The ACL does not cover it.', endpoint: 'ssh' },
    ],
  });
  expect(found).toMatchObject({ check: 'endpoint ssh', severity: 'error', code: 'NGROK_ACL_DENIED' });
  expect(found?.advice).toContain('ACL');
});

test('a token that a technician put into the file in vain is named, with what to do', () => {
  const [, found] = judgeStatus({
    conditions: [{ code: 'TOKEN_FILE_REFUSED', severity: 'warning', message: 'It was revoked.' }],
  });
  expect(found).toMatchObject({ check: 'condition', severity: 'warning', code: 'TOKEN_FILE_REFUSED' });
  expect(found?.advice).toContain('ngrok.authtokenFile');
});

const unit = {
  LoadState: 'loaded',
  ActiveState: 'active',
  SubState: 'running',
  UnitFileState: 'enabled',
  NRestarts: '0',
  Result: 'success',
};

test.each([
  [null, 'SKIPPED'],
  [{ LoadState: 'not-found' }, 'SKIPPED'],
  [unit, 'OK'],
  [{ ...unit, ActiveState: 'failed', Result: 'exit-code' }, 'SERVICE_FAILED'],
  [{ ...unit, ActiveState: 'inactive', SubState: 'dead' }, 'SERVICE_STOPPED'],
  [{ ...unit, UnitFileState: 'disabled' }, 'SERVICE_DISABLED'],
  [{ ...unit, NRestarts: '3' }, 'SERVICE_RESTARTS'],
])('a service %o is %s', (facts, code) => {
  expect(judgeService(facts).code).toBe(code);
});
