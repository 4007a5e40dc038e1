/** The whole daemon on the real Mosquitto: client certificates, the documented rights, both protocol versions. */
import { expect, onTestFinished, test } from 'vitest';
import { adapt, docBlock } from '../support/broker-docs.ts';
import { connectCloud } from '../support/cloud.ts';
import { startDevice, stateOf } from '../support/device.ts';
import { freePort } from '../support/free-port.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { tempDir } from '../support/temp-dir.ts';
import { createTestCa, place } from '../support/test-ca.ts';
import { waitFor } from '../support/wait-for.ts';

/** Those of the documentation; the first line is the test's own client on a listener without TLS. */
const rights = async (): Promise<string> =>
  `topic readwrite #\n${adapt(await docBlock('install.md', 'mosquitto-acl'), { 'lk1/acme/': 'lk1/sandbox/' })}`;

const startWorld = async (protocol: '4' | '5') => {
  const dir = await tempDir('lockkeeper-broker-');
  const ca = await createTestCa();
  const own = await ca.issue({ cn: 'device-1' });
  const server = await ca.issue({ cn: 'broker', ip: ['127.0.0.1'] });
  const caFile = await place(dir, 'ca.pem', ca.cert);
  const plainPort = await freePort();
  const broker = await startMosquitto({
    tls: {
      certFile: await place(dir, 'broker.pem', server.cert),
      keyFile: await place(dir, 'broker.key', server.key),
      clientCaFile: caFile,
    },
    acl: await rights(),
    extra: [`listener ${plainPort} 127.0.0.1`],
  });
  const cloud = await connectCloud({
    url: `mqtt://127.0.0.1:${plainPort}`,
    tenant: 'sandbox',
    device: 'device-1',
  });
  onTestFinished(() => cloud.end());
  const device = await startDevice({ start: false });
  await device.writeConfig({
    mqtt: {
      url: broker.url,
      protocol,
      caFile,
      certFile: await place(dir, 'device.pem', own.cert),
      keyFile: await place(dir, 'device.key', own.key),
    },
  });
  return { broker, cloud, device };
};

test.each([
  ['5', 5],
  ['4', 4],
] as const)(
  'protocol %s: stored document, commands, a new token, a late will, a broker killed in mid-command, the will',
  async (wanted, protocol) => {
    const { broker, cloud, device } = await startWorld(wanted);
    await cloud.desired(3, []);
    device.spawn();
    const first = await device.until((s) => s.link.state === 'connected', 'the link');
    expect(first.link.protocol).toBe(protocol);
    await waitFor(() => cloud.reported()?.applied === 3, { what: 'the stored document is applied' });
    expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded' });
    expect(await cloud.command('start', { args: { ep: 'web', lease_s: 300 } })).toMatchObject({
      status: 'succeeded',
    });
    await device.fault({ op: 'token', authtoken: 'second-token' });
    expect(await cloud.rekey('second-token', 7)).toMatchObject({ status: 'succeeded', out: { gen: 7 } });

    // The broker gives up an older connection only now: its will lands on the newer birth.
    const birth = await waitFor(() => (cloud.presence()?.online === true ? cloud.presence() : undefined));
    const late = { v: 1, online: false, boot: birth.boot, n: birth.n - 1 };
    await cloud.publish(cloud.topic('presence'), JSON.stringify(late), true);
    await waitFor(() => cloud.presence()?.online === true && cloud.presence()?.n === birth.n, {
      what: 'the presence is mended',
      deadlineMs: 60_000,
    });

    const slow = device.visit('/slow/4000');
    await waitFor(async () => (await device.status()).endpoints.some(({ inFlight }) => inFlight > 0));
    const id = await cloud.send('stop', { args: { ep: 'web' } });
    await waitFor(() => cloud.results(id).length > 0, { what: 'the stop has begun' });
    await broker.stop('SIGKILL');
    await device.until((s) => s.link.state !== 'connected', 'the link is down');
    expect((await slow).status).toBe(200);
    await device.until((s) => stateOf(s) === 'down', 'web is down, without a broker');
    await broker.start();
    await device.until((s) => s.link.state === 'connected', 'the link is back', 40_000);
    expect(await cloud.result(id)).toMatchObject({ status: 'succeeded' });
    expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded' });

    await device.kill('SIGKILL');
    await waitFor(() => cloud.presence()?.online === false, { what: 'the will', deadlineMs: 45_000 });
  },
);
