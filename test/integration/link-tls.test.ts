import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { createServer } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { checkPlace } from '../../src/doctor/check-place.ts';
import { fastClock, startLink } from '../support/link-world.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { tempDir } from '../support/temp-dir.ts';
import { createTestCa, type Issued, place } from '../support/test-ca.ts';
import { waitFor } from '../support/wait-for.ts';

const DAY_MS = 86_400_000;

const world = async (server: { notBefore?: Date; notAfter?: Date } = {}, wantsClient = false) => {
  const dir = await tempDir();
  const ca = await createTestCa();
  const caFile = await place(dir, 'ca.pem', ca.cert);
  const own = await ca.issue({ cn: 'broker', ip: ['127.0.0.1'], ...server });
  const certFile = await place(dir, 'server.pem', own.cert);
  const keyFile = await place(dir, 'server.key', own.key);
  const broker = await startMosquitto({
    tls: { certFile, keyFile, ...(wantsClient ? { clientCaFile: caFile } : {}) },
  });
  const placeClient = async (issued: Pick<Issued, 'cert' | 'key'>) => ({
    certFile: await place(dir, 'client.pem', issued.cert),
    keyFile: await place(dir, 'client.key', issued.key),
  });
  return { dir, ca, caFile, broker, placeClient };
};

test('trusts a broker with a self-made authority at an IP address', async () => {
  const { broker, caFile } = await world();
  const { link } = startLink({ url: broker.url, caFile });
  await waitFor(() => link.status().state === 'connected');
  expect(link.status().broker).toBe(broker.url);
});

test('refuses a broker whose authority is unknown and says so', async () => {
  const { broker } = await world();
  const { link } = startLink({ url: broker.url });
  const { problems, lastError } = await waitFor(() => {
    const status = link.status();
    return status.lastError !== null && status.state !== 'connected' && status;
  });
  expect(lastError).toMatchObject({ code: 'BROKER_TLS', retryable: true });
  expect(lastError?.message).toMatch(/authority/);
  expect(problems).toEqual([lastError]);
});

test('takes a certificate that is not valid yet for a matter of the clock, and connects when it is valid', async () => {
  const { broker, caFile } = await world({ notBefore: new Date(Date.now() + 4000) });
  const { link } = startLink({ url: broker.url, caFile }, { clock: fastClock(10) });
  await waitFor(() =>
    link.status().problems.some((p) => p.code === 'BROKER_CLOCK' && /clock/.test(p.message)),
  );
  await waitFor(() => link.status().state === 'connected');
  expect(link.status().problems).toEqual([]);
});

test('connects with the newest client certificate at each connect, without cutting the standing link', async () => {
  const { broker, caFile, ca, placeClient } = await world({}, true);
  const first = await ca.issue({ cn: 'press-7' });
  const files = await placeClient(first);
  const { link, ups } = startLink({ url: broker.url, caFile, ...files }, { clock: fastClock(20) });
  await waitFor(() => ups.length === 1);
  expect(link.status().certificateDaysLeft).toBeGreaterThan(300);
  await placeClient(await ca.issue({ cn: 'press-7', notAfter: new Date(Date.now() + 9.5 * DAY_MS) }));
  await waitFor(() => link.status().certificateDaysLeft === 9);
  expect(link.status()).toMatchObject({
    state: 'connected',
    connects: 1,
    problems: [{ code: 'CLIENT_CERT_EXPIRING' }],
  });
  await broker.stop('SIGKILL');
  await broker.start();
  await waitFor(() => ups.length === 2);
});

test('goes on with the old pair while the new certificate still lacks its key', async () => {
  const { dir, broker, caFile, ca, placeClient } = await world({}, true);
  const files = await placeClient(await ca.issue({ cn: 'press-7' }));
  const { link, ups } = startLink({ url: broker.url, caFile, ...files }, { clock: fastClock(20) });
  await waitFor(() => ups.length === 1);
  const renewed = await ca.issue({ cn: 'press-7', notAfter: new Date(Date.now() + 30.5 * DAY_MS) });
  await place(dir, 'client.pem', renewed.cert);
  await waitFor(() => link.status().problems.some((p) => p.code === 'CLIENT_CERT_INVALID'));
  await broker.stop('SIGKILL');
  await broker.start();
  await waitFor(() => ups.length === 2);
  expect(link.status().certificateDaysLeft).toBeGreaterThan(300);
  await place(dir, 'client.key', renewed.key);
  await waitFor(() => link.status().problems.length === 0);
  expect(link.status().certificateDaysLeft).toBe(30);
});

test('tries again as soon as a refused certificate is replaced, not an hour later', async () => {
  const { broker, caFile, ca, placeClient } = await world({}, true);
  const over = { notBefore: new Date(Date.now() - 9 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
  const files = await placeClient(await ca.issue({ cn: 'press-7', ...over }));
  const { link, changes } = startLink({ url: broker.url, caFile, ...files }, { clock: fastClock(20) });
  const refusals = () =>
    changes.filter((s) => s.state === 'offline' && s.lastError?.code === 'BROKER_TLS').length;
  await waitFor(() => refusals() >= 3);
  expect(link.status().lastError?.message).toMatch(/client certificate ended/);
  expect(link.status().problems.map((p) => p.code)).toContain('CLIENT_CERT_EXPIRING');
  await placeClient(await ca.issue({ cn: 'press-7' }));
  await waitFor(() => link.status().state === 'connected');
});

test('waits for a client certificate that is missing and reads it when it is there', async () => {
  const { dir, broker, caFile, ca, placeClient } = await world({}, true);
  const files = { certFile: `${dir}/client.pem`, keyFile: `${dir}/client.key` };
  const { link } = startLink({ url: broker.url, caFile, ...files }, { clock: fastClock(20) });
  await waitFor(() => link.status().lastError?.code === 'CONFIG_INVALID');
  expect(link.status().lastError?.message).toContain(`${dir}/client.pem`);
  await placeClient(await ca.issue({ cn: 'press-7' }));
  await waitFor(() => link.status().state === 'connected');
});

/** Several protocols behind one port, as hosted brokers have on 443: only the one that is named leads to the broker. */
const alpnFront = async (dir: string, ca: Awaited<ReturnType<typeof createTestCa>>, brokerPort: number) => {
  const own = await ca.issue({ cn: 'front', ip: ['127.0.0.1'] });
  const asked: (string | false)[] = [];
  const server = createServer(
    { cert: own.cert, key: own.key, ALPNProtocols: ['http/1.1', 'x-amzn-mqtt-ca'] },
    (socket) => {
      asked.push(socket.alpnProtocol ?? false);
      socket.on('error', () => undefined);
      if (socket.alpnProtocol !== 'x-amzn-mqtt-ca') return socket.destroy();
      const broker = connect(brokerPort, '127.0.0.1').on('error', () => socket.destroy());
      socket.once('close', () => broker.destroy());
      return socket.pipe(broker).pipe(socket);
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return { asked, url: `mqtts://127.0.0.1:${port}`, caFile: await place(dir, 'front-ca.pem', ca.cert) };
};

test('names the protocol where a broker shares its port with others, and says nothing of one otherwise', async () => {
  const dir = await tempDir();
  const broker = await startMosquitto();
  const { asked, url, caFile } = await alpnFront(dir, await createTestCa(), broker.port);
  const unnamed = startLink({ url, caFile });
  await waitFor(() => unnamed.link.status().lastError !== null);
  expect(asked[0]).toBe(false);
  await unnamed.link.stop();
  const named = startLink({ url, caFile, alpn: 'x-amzn-mqtt-ca' }, { clientId: 'press-8' });
  await waitFor(() => named.link.status().state === 'connected');
  expect(asked.at(-1)).toBe('x-amzn-mqtt-ca');
});

test("the doctor's look at the broker names the protocol too", async () => {
  const { url, caFile } = await alpnFront(await tempDir(), await createTestCa(), 9);
  const port = Number(new URL(url).port);
  const place = { check: 'broker', host: '127.0.0.1', port, isTls: true, caFile };
  expect(await checkPlace({ ...place, alpn: 'x-amzn-mqtt-ca' }, systemClock)).toMatchObject({ code: 'OK' });
  expect(await checkPlace({ ...place, alpn: 'mqtt' }, systemClock)).toMatchObject({
    code: 'TLS_FAILED',
    message: `127.0.0.1 port ${port} does not know the protocol mqtt.`,
  });
});

test('a protocol that the broker does not know is told as a matter of TLS', async () => {
  const dir = await tempDir();
  const broker = await startMosquitto();
  const { url, caFile } = await alpnFront(dir, await createTestCa(), broker.port);
  const { link } = startLink({ url, caFile, alpn: 'mqtt' });
  const { lastError } = await waitFor(() => {
    const status = link.status();
    return status.lastError !== null && status;
  });
  expect(lastError).toMatchObject({ code: 'BROKER_TLS', message: expect.stringContaining('mqtt.alpn') });
});
