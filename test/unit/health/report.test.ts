import { createHook } from 'node:async_hooks';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import {
  type MachineState,
  machineFigures,
  machineState,
  networkBytes,
} from '../../../src/health/machine.ts';
import { startPublicProbes } from '../../../src/health/public-probe.ts';
import { healthReport, type ReportInputs } from '../../../src/health/report.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { endpointInStatus, statusDocumentOf } from '../../support/status-fixture.ts';
import { waitFor } from '../../support/wait-for.ts';

const calm: MachineState = {
  load: 0.2,
  memoryUsed: 0.4,
  diskUsed: 0.5,
  temperatureC: 50,
  networkIn: 1,
  networkOut: 1,
  rssKiB: 60_000,
};

const report = (over: Partial<ReportInputs> = {}) =>
  healthReport({
    status: statusDocumentOf(),
    machine: calm,
    upstreams: new Map([['web', 'up']]),
    probes: new Map(),
    ...over,
  });

test('a device on which everything works is ok in all four parts', () => {
  expect(report()).toMatchObject({
    level: 'ok',
    session: { level: 'ok' },
    path: { level: 'ok', endpoints: [{ name: 'web', bound: true, probe: null }] },
    upstream: { level: 'ok', endpoints: [{ name: 'web', state: 'up' }] },
    machine: { level: 'ok', temperatureC: 50 },
  });
});

test('an application that does not answer is told apart from its endpoint, which is up', () => {
  const status = statusDocumentOf({
    conditions: [
      {
        code: 'UPSTREAM_DOWN',
        severity: 'warning',
        since: '2026-11-26T10:00:00.000Z',
        message: 'x',
        endpoint: 'web',
      },
    ],
  });
  expect(report({ status })).toMatchObject({
    level: 'warning',
    session: { level: 'ok' },
    path: { level: 'ok' },
    upstream: { level: 'warning', text: 'No answer: hmi.' },
  });
});

test.each([
  ['connecting', 'error'],
  ['down', 'error'],
  ['auth-failed', 'error'],
  ['stopped', 'ok'],
] as const)('a session that is %s is %s', (state, level) => {
  const status = statusDocumentOf({ session: { ...statusDocumentOf().session, state } });
  expect(report({ status }).session.level).toBe(level);
});

test('an endpoint that is refused is an error of the path, one that is not wanted is none', () => {
  const at = (state: 'failed' | 'opening' | 'down') =>
    report({ status: statusDocumentOf({ endpoints: [endpointInStatus({ state })] }) }).path.level;
  expect([at('failed'), at('opening'), at('down')]).toEqual(['error', 'warning', 'ok']);
});

test('a full disk, full memory and a hot board each have a sentence', () => {
  const { machine, level } = report({
    machine: { ...calm, diskUsed: 0.98, memoryUsed: 0.92, temperatureC: 85 },
  });
  expect(level).toBe('error');
  expect(machine.text).toBe(
    "The state folder's disk is 98 % full. Memory is 92 % full. The board is at 85 degrees Celsius.",
  );
});

test('notes do not make a device unwell', () => {
  const status = statusDocumentOf({
    conditions: [{ code: 'BROKER_MODE', severity: 'info', since: '2026-11-26T10:00:00.000Z', message: 'x' }],
  });
  expect(report({ status }).level).toBe('ok');
});

test("the kernel's table of interfaces is summed without loopback", () => {
  const table = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0
  eth0:1000 5 0 0 0 0 0 0 200 4 0 0 0 0 0 0
 wlan0: 10 5 0 0 0 0 0 0 2 4 0 0 0 0 0 0
`;
  expect(networkBytes(table)).toEqual({ bytesIn: 1010, bytesOut: 202 });
});

test('reading the figures of the machine starts no process', async () => {
  let processes = 0;
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'PROCESSWRAP') processes += 1;
    },
  }).enable();
  onTestFinished(() => void hook.disable());
  const state = await machineState('/tmp');
  await machineFigures('/tmp');
  expect(processes).toBe(0);
  expect(state.diskUsed).toBeGreaterThan(0);
  expect(state.memoryUsed).toBeGreaterThan(0);
  expect(state.networkIn).not.toBeNull();
});

test('a visit through the public URL tells a whole way from a broken one, and none is made unasked', async () => {
  const clock = manualClock();
  let visits = 0;
  const server = createServer((asked, answer) => {
    visits += 1;
    if (asked.url === '/edge') answer.setHeader('ngrok-error-code', 'ERR_NGROK_3200');
    answer.writeHead(asked.url === '/edge' ? 404 : 401).end();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => void server.close());
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const endpoints = () => [
    { name: 'web', url: `${base}/` },
    { name: 'gone', url: `${base}/edge` },
    { name: 'plc', url: 'tcp://127.0.0.1:1' },
  ];
  const off = startPublicProbes({ clock, everyMs: 0, endpoints });
  await clock.advance(86_400_000);
  expect(visits).toBe(0);
  expect(off.seen().size).toBe(0);

  const probes = startPublicProbes({ clock, everyMs: 60_000, endpoints });
  onTestFinished(() => probes.stop());
  await clock.advance(60_000);
  await waitFor(() => probes.seen().size === 2);
  expect(probes.seen().get('web')).toMatchObject({ ok: true, status: 401 });
  expect(probes.seen().get('gone')).toMatchObject({ ok: false, status: 404 });
  expect(report({ probes: probes.seen() }).path.level).toBe('ok');
  const broken = new Map([['web', { ok: false, at: '', tookMs: 1, status: null }]]);
  expect(report({ probes: broken }).path).toMatchObject({
    level: 'error',
    text: 'Not reached through the public URL: web.',
  });
});

test('the session tells its state, how fast it is, how often it came again, and since when it stands', () => {
  const session = {
    ...statusDocumentOf().session,
    state: 'connected' as const,
    since: '2026-11-01T00:00:00.000Z',
    latencyMs: 41,
    reconnects: 3,
  };
  expect(report({ status: statusDocumentOf({ session }) }).session).toMatchObject({
    level: 'ok',
    state: 'connected',
    since: '2026-11-01T00:00:00.000Z',
    latencyMs: 41,
    reconnects: 3,
  });
});
