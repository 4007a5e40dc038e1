import { expect, test } from 'vitest';
import { statusLines } from '../../../src/fleet/cli/status-table.ts';

const NOW = Date.UTC(2026, 0, 1, 12);
const iso = (agoMs: number): string => new Date(NOW - agoMs).toISOString();

test('shows each part with how long it has been so', () => {
  const lines = statusLines(
    {
      device: 'press-7',
      version: '1.2.3',
      uptimeS: 7300,
      locked: true,
      link: {
        state: 'offline',
        broker: 'mqtts://b:8883',
        protocol: null,
        since: iso(90_000),
        lastError: { code: 'BROKER_NET', message: 'It does not answer.' },
      },
      session: {
        state: 'auth-failed',
        since: iso(3 * 3_600_000),
        generation: 4,
        latencyMs: null,
        reconnects: 2,
        lastError: { code: 'NGROK_AUTH_REFUSED', message: 'The token is refused.' },
      },
      endpoints: [],
      conditions: [],
      key: { fingerprint: 'c0bd-505f-4d55' },
    },
    NOW,
  );
  expect(lines).toEqual([
    'press-7  Lockkeeper 1.2.3, up 2 h, LOCKED',
    'link      offline for 90 s, mqtts://b:8883',
    '          BROKER_NET: It does not answer.',
    'session   auth-failed for 3 h, generation 4, reconnects 2',
    '          NGROK_AUTH_REFUSED: The token is refused.',
    'key       c0bd-505f-4d55',
    '',
    'No endpoints.',
  ]);
});

test('stays within 80 columns with long names, many endpoints and long sentences', () => {
  const endpoint = (i: number) => ({
    name: `endpoint-with-a-rather-long-name-${i}`.slice(0, 32),
    state: 'opening',
    upstream: 'https://192.168.7.100:44333/with/a/path',
    by: 'lease',
    leaseEndsAt: iso(-86_000_000),
    requests: 123_456_789,
    inFlight: 10_000,
  });
  const lines = statusLines(
    {
      device: 'd'.repeat(63),
      endpoints: [1, 2, 3].map(endpoint),
      conditions: [
        { code: 'UPSTREAM_DOWN', severity: 'warning', since: iso(0), message: 'word '.repeat(60).trim() },
      ],
    },
    NOW,
  );
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  expect(lines.join(' ').match(/word/g)).toHaveLength(60);
});

test('shows a document that lacks everything', () => {
  expect(statusLines({}, NOW)[0]).toBe('-  Lockkeeper -');
});
