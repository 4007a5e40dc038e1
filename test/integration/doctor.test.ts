import { chmod } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { Finding } from '../../src/doctor/finding.ts';
import { type Device, startDevice, stateOf } from '../support/device.ts';
import { runNode } from '../support/spawn-node.ts';

const ON = {
  endpoints: [{ name: 'web', proto: 'http', upstream: 'hmi', url: 'https://device-1.edge.test', on: true }],
};

const doctor = async (device: Device, env: Readonly<Record<string, string>> = {}) => {
  const args = ['doctor', '--json', '--config', device.configFile];
  const { code, stdout } = await runNode('src/lockkeeper.ts', args, { env });
  const { findings, ok } = JSON.parse(stdout) as {
    readonly ok: boolean;
    readonly findings: readonly Finding[];
  };
  const bad = findings.filter(({ severity }) => severity === 'error');
  return { code, ok, findings, bad, stdout };
};

test('a device that works gets a clean bill, also with proxy variables that lead nowhere', async () => {
  const device = await startDevice({ config: ON });
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  const dead = 'http://127.0.0.1:9';
  const seen = await doctor(device, {
    HTTP_PROXY: dead,
    HTTPS_PROXY: dead,
    ALL_PROXY: dead,
    NODE_USE_ENV_PROXY: '1',
  });
  expect(seen.bad).toEqual([]);
  expect(seen).toMatchObject({ code: 0, ok: true });
  const checks = seen.findings.map(({ check }) => check);
  for (const check of [
    'configuration',
    'daemon',
    'clock',
    'disk',
    'authtoken',
    'edge',
    'broker',
    'broker login',
    'upstream hmi',
  ])
    expect(checks).toContain(check);
  expect(seen.stdout).not.toContain(device.sandbox.line.authtokens['default']);
  // It never takes the device's place at the broker.
  expect((await device.status()).link.state).toBe('connected');
  expect(device.log().match(/broker connected/g)).toHaveLength(1);
}, 60_000);

test('what is broken is named one by one, with what to do', async () => {
  const device = await startDevice({ start: false });
  await device.writeConfig({
    ...ON,
    upstreams: { hmi: { url: 'http://127.0.0.1:9' } },
    ngrok: {
      authtokenFile: device.tokenFile,
      serverAddr: '127.0.0.1:9',
      caFile: device.sandbox.line.caFile,
    },
  });
  await chmod(device.tokenFile, 0o644);
  await device.fault({ op: 'broker', on: false });
  const { code, findings, bad } = await doctor(device);
  expect(code).toBe(1);
  expect(bad.map(({ check, code: what }) => `${check} ${what}`).toSorted()).toEqual([
    'broker PORT_CLOSED',
    'daemon DAEMON_UNREACHABLE',
    'edge PORT_CLOSED',
    'upstream hmi UPSTREAM_DOWN',
  ]);
  expect(findings).toContainEqual(expect.objectContaining({ check: 'authtoken', code: 'MODE_OPEN' }));
  for (const { advice } of bad) expect(advice).not.toBe('');
}, 60_000);

test('a configuration that is not valid is shown with every problem', async () => {
  const device = await startDevice({ start: false });
  await device.writeConfig({ ...ON, trust: { mode: 'never' }, extra: 1 });
  const { code, bad } = await doctor(device);
  expect(code).toBe(1);
  expect(bad.every(({ check }) => check === 'configuration')).toBe(true);
  expect(bad.map(({ message }) => message).join(' ')).toContain('extra');
});
