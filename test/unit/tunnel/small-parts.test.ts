import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isRefusedAddress } from '../../../src/core/refused-address.ts';
import { checkDirect, directUrl, publicAddress } from '../../../src/tunnel/bind-endpoint.ts';
import { parseTcpTable } from '../../../src/tunnel/edge-socket.ts';
import { createStreamBudget } from '../../../src/tunnel/relay/budget.ts';
import { createEndpointCounts } from '../../../src/tunnel/relay/endpoint-counts.ts';
import { resolveUpstream } from '../../../src/tunnel/relay/resolve.ts';
import { checkRunDir, relayPath } from '../../../src/tunnel/run-dir.ts';
import { scrub } from '../../../src/tunnel/scrub.ts';
import { serverAddrOf } from '../../../src/tunnel/sdk-session.ts';
import { processEnv } from '../../../src/tunnel/spawn-process.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { bindSpec } from '../../support/tunnel-lab.ts';

describe('upstream addresses', () => {
  test.each([
    '169.254.169.254',
    '::ffff:169.254.169.254',
    'fd00:ec2::254',
    'fe80::1',
    '224.0.0.1',
    'ff02::1',
    '0.0.0.0',
    '::',
    '::ffff:0.0.0.0',
    '255.255.255.255',
    '64:ff9b::169.254.169.254',
    'localhost',
  ])('%s is always refused', (address) => {
    expect(isRefusedAddress(address)).toBe(true);
  });

  test.each(['127.0.0.1', '::1', '10.0.0.7', '192.168.7.2', 'fd12::7', '172.16.0.1', '8.8.8.8'])(
    '%s is taken',
    (address) => {
      expect(isRefusedAddress(address)).toBe(false);
    },
  );

  test('a refused address is a fault that names upstream and address', async () => {
    const result = await resolveUpstream({ ref: 'meta', host: '169.254.169.254', port: 80 });
    expect(result).toMatchObject({ ok: false, fault: { code: 'UPSTREAM_DENIED', retryable: false } });
    expect(await resolveUpstream({ ref: 'v6', host: '[::1]', port: 80 })).toEqual({
      ok: true,
      value: ['::1'],
    });
  });

  test('an unknown name is a fault that a retry can cure', async () => {
    const result = await resolveUpstream({ ref: 'hmi', host: 'nobody.invalid', port: 80 });
    expect(result).toMatchObject({ ok: false, fault: { code: 'UPSTREAM_DOWN', retryable: true } });
  });
});

describe('the stream budget', () => {
  test('refuses at the cap, tells once, and is good again when load has fallen', async () => {
    const clock = manualClock();
    const edges: [boolean, number][] = [];
    const budget = createStreamBudget(
      clock,
      (on, refused) => edges.push([on, refused]),
      () => 64 + 3 * 2,
    );
    expect([budget.admit(false), budget.admit(false), budget.admit(false), budget.admit(false)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(edges).toEqual([[true, 1]]);
    budget.release();
    budget.tick();
    expect(edges).toHaveLength(1);
    await clock.advance(5_000);
    budget.tick();
    expect(edges).toEqual([
      [true, 1],
      [false, 2],
    ]);
    expect(budget.admit(false)).toBe(true);
  });

  test('never exceeds what the SDK can hold, however many descriptors there are', () => {
    const budget = createStreamBudget(
      manualClock(),
      () => undefined,
      () => Number.POSITIVE_INFINITY,
    );
    let admitted = 0;
    while (budget.admit(false)) admitted += 1;
    expect(admitted).toBe(400);
  });
});

test('responses are counted by class and by time', () => {
  const counts = createEndpointCounts(() => 7);
  counts.response(200, 5);
  counts.response(404, 6);
  counts.response(502, null);
  counts.response(200, 9_999);
  counts.bytesIn(3);
  expect(counts.snapshot({ open: 1, inFlight: 0 })).toMatchObject({
    responses: [0, 2, 0, 1, 1],
    latency: [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    lastActiveMs: 7,
    bytesIn: 3,
  });
});

test('texts lose tokens of ours and anything that looks like one', () => {
  const other = `${'a1'.repeat(14)}_${'B2'.repeat(11)}`;
  expect(scrub(`x hunter2 y ${other} z`, ['hunter2'])).toBe('x [authtoken] y [authtoken] z');
  expect(scrub('an ordinary_sentence of the SDK', [''])).toBe('an ordinary_sentence of the SDK');
});

describe('the folder of sockets', () => {
  test('is made for its user alone', async () => {
    const dir = join(await tempDir(), 'run');
    await mkdir(dir, { mode: 0o755 });
    expect(await checkRunDir(dir)).toBeNull();
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
  });

  test('is refused with a sentence when its sockets would not fit', async () => {
    expect(await checkRunDir(`/${'x'.repeat(80)}`)).toMatchObject({ code: 'CONFIG_INVALID' });
    const longest = `/${'x'.repeat(68)}`;
    expect(relayPath(longest, 't9999999', 99_999, 'n'.repeat(60)).length).toBeLessThanOrEqual(107);
  });
});

test('the kernel table gives established connections by inode, IPv4 in IPv6 as IPv4', () => {
  const row = (local: string, remote: string, state: string, inode: string): string =>
    `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0 20 4 30 10 -1`;
  const table = [
    '  sl  local_address rem_address   st …',
    row('0100007F:1F90', '0100007F:A021', '01', '11'),
    row('0100007F:1F90', '00000000:0000', '0A', '12'),
    row('0000000000000000FFFF00000100007F:0001', '0000000000000000FFFF00000200007F:01BB', '01', '13'),
    row('00000000000000000000000001000000:0001', '00000000000000000000000001000000:0050', '01', '14'),
  ].join('\n');
  expect(parseTcpTable(table)).toEqual([
    { inode: '11', remoteAddress: '127.0.0.1', remotePort: 40_993 },
    { inode: '13', remoteAddress: '127.0.0.2', remotePort: 443 },
    { inode: '14', remoteAddress: '::1', remotePort: 80 },
  ]);
});

test('the environment of a tunnel process is a short list', () => {
  expect(
    processEnv({
      PATH: '/bin',
      HOME: '/h',
      HTTPS_PROXY: 'http://p',
      NGROK_AUTHTOKEN: 's',
      LOCKKEEPER_LOG_LEVEL: 'x',
      NODE_OPTIONS: '--inspect',
    }),
  ).toEqual({ PATH: '/bin', HOME: '/h', MALLOC_ARENA_MAX: '1' });
});

describe('where an endpoint binds', () => {
  test.each([
    ['http', 'https://A.Example/', { scheme: 'https', address: 'a.example' }],
    ['http', 'http://a.example', { scheme: 'http', address: 'a.example' }],
    ['tcp', 'tcp://1.tcp.example:20002', { scheme: 'tcp', address: '1.tcp.example:20002' }],
    ['tls', 'tls://a.example:443', { scheme: 'tls', address: 'a.example' }],
    ['tcp', '', { scheme: 'tcp', address: '' }],
    ['http', '', { scheme: 'https', address: '' }],
  ] as const)('%s at %s', (proto, url, value) => {
    expect(publicAddress(bindSpec('web', {}, { proto, url }))).toEqual({ ok: true, value });
  });

  test('is refused when URL and protocol do not fit', () => {
    expect(publicAddress(bindSpec('web', {}, { proto: 'tcp', url: 'https://a' }))).toMatchObject({
      ok: false,
      fault: { code: 'CONFIG_INVALID' },
    });
  });

  test('without metering the SDK dials the upstream, unless it has its own trust', () => {
    const plain = bindSpec('web', { host: '::1', port: 80 });
    expect(directUrl(plain)).toBe('http://[::1]:80');
    expect(checkDirect(plain)).toBeNull();
    const trusting = bindSpec('web', { tls: { verify: true, caFile: '/ca.pem' } });
    expect(checkDirect(trusting)).toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test('a region names the ingress, a server address wins', () => {
    expect(serverAddrOf({ serverAddr: '', region: 'auto' })).toBe('');
    expect(serverAddrOf({ serverAddr: '', region: 'eu' })).toBe('connect.eu.ngrok-agent.com:443');
    expect(serverAddrOf({ serverAddr: 'localhost:1', region: 'eu' })).toBe('localhost:1');
  });
});
