import { chmod, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { Finding } from '../../src/doctor/finding.ts';
import { startAedes } from '../support/aedes.ts';
import { ALWAYS_ON, type Device, startDevice, stateOf } from '../support/device.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { runNode } from '../support/spawn-node.ts';
import { tempDir } from '../support/temp-dir.ts';
import { createTestCa, place } from '../support/test-ca.ts';

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
  const device = await startDevice({ config: ALWAYS_ON });
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
});

test('what is broken is named one by one, with what to do', async () => {
  const device = await startDevice({ start: false });
  await device.writeConfig({
    ...ALWAYS_ON,
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
});

test('a configuration that is not valid is shown with every problem', async () => {
  const device = await startDevice({ start: false });
  await device.writeConfig({ ...ALWAYS_ON, trust: { mode: 'never' }, extra: 1 });
  const { code, bad } = await doctor(device);
  expect(code).toBe(1);
  expect(bad.every(({ check }) => check === 'configuration')).toBe(true);
  expect(bad.map(({ message }) => message).join(' ')).toContain('extra');
});

test('a topic that the broker denies, and an endpoint that the token may not open, are named', async () => {
  const { url } = await startAedes({
    authorizeSubscribe: (_client, asked, done) => done(null, asked.topic.includes('/cmd/') ? null : asked),
  });
  const device = await startDevice({ start: false });
  await device.fault({ op: 'token', authtoken: 'narrow-token', acl: ['bind:other.edge.test'] });
  await writeFile(device.tokenFile, 'narrow-token', { mode: 0o600 });
  await device.writeConfig({ ...ALWAYS_ON, mqtt: { url } });
  device.spawn();
  await device.until((s) => stateOf(s) === 'failed', 'web is refused');
  const { bad } = await doctor(device);
  expect(bad.map(({ check, code }) => `${check} ${code}`)).toEqual(
    expect.arrayContaining(['endpoint web NGROK_ACL_DENIED', 'broker topics SUBSCRIBE_DENIED']),
  );
  const denied = bad.filter(({ code }) => code === 'SUBSCRIBE_DENIED').map(({ message }) => message);
  expect(denied.join(' ')).toContain('lk1/sandbox/d/device-1/cmd/+');
  expect(denied.join(' ')).not.toContain('desired');
});

test('a client certificate that ends soon, and whoever opens TLS before the edge, are named', async () => {
  const dir = await tempDir('lockkeeper-doctor-');
  const ca = await createTestCa();
  const own = await ca.issue({ cn: 'device-1', notAfter: new Date(Date.now() + 3 * 86_400_000) });
  const server = await ca.issue({ cn: 'broker', ip: ['127.0.0.1'] });
  const caFile = await place(dir, 'ca.pem', ca.cert);
  const broker = await startMosquitto({
    tls: {
      certFile: await place(dir, 'broker.pem', server.cert),
      keyFile: await place(dir, 'broker.key', server.key),
      clientCaFile: caFile,
    },
  });
  const device = await startDevice({ start: false });
  await device.writeConfig({
    ...ALWAYS_ON,
    mqtt: {
      url: broker.url,
      caFile,
      certFile: await place(dir, 'device.pem', own.cert),
      keyFile: await place(dir, 'device.key', own.key),
    },
    // Not the authority of this edge: so a proxy looks that shows a certificate of its own.
    ngrok: { authtokenFile: device.tokenFile, serverAddr: device.sandbox.line.edge.addr, caFile },
  });
  const { findings } = await doctor(device);
  expect(findings).toContainEqual(expect.objectContaining({ check: 'broker login', code: 'OK' }));
  expect(findings).toContainEqual(
    expect.objectContaining({ check: 'client certificate', code: 'CERT_ENDS_SOON' }),
  );
  expect(findings).toContainEqual(expect.objectContaining({ check: 'edge', code: 'TLS_INTERCEPTED' }));
});
