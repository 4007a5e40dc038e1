/** The link on peers that are bent for one question each, most of them an aedes; brokers-aedes.test.ts asks what every broker is asked. */
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Aedes } from 'aedes';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { startAedes } from '../support/aedes.ts';
import { freePort } from '../support/free-port.ts';
import { fastClock, startLink } from '../support/link-world.ts';
import { mqttPeer } from '../support/mqtt-peer.ts';
import { startTcpStub } from '../support/tcp-stub.ts';
import { waitFor } from '../support/wait-for.ts';

const DESIRED = 'lk1/acme/d/press-7/desired';
const COMMANDS = 'lk1/acme/d/press-7/cmd/+';
const PING = 'lk1/acme/d/press-7/cmd/ping';
const GROUP = 'lk1/acme/g/lab/cmd/+';

test('speaks 3.1.1 from the first connect when it is remembered', async () => {
  const { url, connects } = await startAedes();
  const memory = new Map([[url, { version: 4 as const, sinceMs: Date.now() - 3_600_000 }]]);
  const world = startLink({ url }, { memory });
  await waitFor(() => world.link.status().state === 'connected');
  expect(world.changes.some((s) => s.state === 'offline')).toBe(false);
  expect(connects).toEqual(['press-7']);
});

test('tries MQTT 5 again when the memory is a day old', async () => {
  const { url } = await startAedes();
  const memory = new Map([[url, { version: 4 as const, sinceMs: Date.now() - 25 * 3_600_000 }]]);
  const world = startLink({ url }, { memory });
  await waitFor(() => world.link.status().state === 'connected');
  expect(world.changes.some((s) => s.lastError?.code === 'BROKER_REFUSED')).toBe(true);
  // A version that is not spoken there is no error of a link that stands.
  expect(world.link.status().lastError).toBeNull();
  expect(Date.now() - (world.memory.get(url)?.sinceMs ?? 0)).toBeLessThan(60_000);
});

test('tries 3.1.1 once after two closes before the greeting, then 5 again', async () => {
  const versions: (number | undefined)[] = [];
  const stub = await startTcpStub((socket, bytes) => {
    versions.push(bytes[8]);
    socket.destroy();
  });
  startLink({ url: stub.url }, { clock: fastClock(50) });
  await waitFor(() => versions.length >= 6);
  expect(versions.slice(0, 6)).toEqual([5, 5, 4, 5, 5, 4]);
});

test('falls back when the peer closes on MQTT 5 only', async () => {
  const stub = await startTcpStub((socket, bytes) => {
    if (bytes[0] === 0x10 && bytes[8] !== 4) socket.destroy();
    else if (bytes[0] === 0x10) socket.write(Buffer.from([0x20, 2, 0, 0]));
    else if (bytes[0] === 0x82) socket.write(Buffer.from([0x90, 4, bytes[2] ?? 0, bytes[3] ?? 0, 1, 1]));
  });
  const world = startLink({ url: stub.url }, { clock: fastClock(20) });
  await waitFor(() => world.link.status().state === 'connected');
  expect(world.memory.get(stub.url)).toMatchObject({ version: 4 });
});

test('is a problem when it stays away, until it is back, and nothing is left of the reason then', async () => {
  let isBroken = true;
  const stub = await startTcpStub((socket, bytes) => {
    if (isBroken) socket.destroy();
    else if (bytes[0] === 0x10) socket.write(Buffer.from([0x20, 2, 0, 0]));
    else if (bytes[0] === 0x82) socket.write(Buffer.from([0x90, 4, bytes[2] ?? 0, bytes[3] ?? 0, 1, 1]));
  });
  const world = startLink({ url: stub.url, protocol: '4' }, { clock: fastClock(100) });
  const { lastError } = await waitFor(() => {
    const status = world.link.status();
    return status.problems.length > 0 && status;
  });
  expect(lastError).toMatchObject({ code: 'BROKER_NET', retryable: true });
  expect(world.changes[1]).toMatchObject({ state: 'offline', problems: [] });
  isBroken = false;
  await waitFor(() => world.link.status().state === 'connected');
  expect(world.link.status()).toMatchObject({ problems: [], lastError: null });
  // Whoever reports at once when the link stands says so already.
  const before = world.changes.findIndex(({ state }) => state === 'connected') - 1;
  expect(world.changes[before]).toMatchObject({ state: 'connecting', problems: [] });
});

test('never changes the version over a refused password, and says what is wrong', async () => {
  const versions: (number | undefined)[] = [];
  const stub = await startTcpStub((socket, bytes) => {
    versions.push(bytes[8]);
    socket.end(Buffer.from([0x20, 3, 0, 0x86, 0]));
  });
  const world = startLink({ url: stub.url, username: 'press-7' }, { clock: fastClock(100) });
  await waitFor(() => versions.length >= 4);
  expect(new Set(versions)).toEqual(new Set([5]));
  expect(world.link.status().lastError).toMatchObject({ code: 'BROKER_AUTH_REFUSED' });
});

test('leaves a broker that takes a message and never acknowledges it', async () => {
  const stub = await startTcpStub((socket, bytes) => {
    if (bytes[0] === 0x10) socket.write(Buffer.from([0x20, 2, 0, 0]));
    else if (bytes[0] === 0x82) socket.write(Buffer.from([0x90, 4, bytes[2] ?? 0, bytes[3] ?? 0, 1, 1]));
  });
  const world = startLink({ url: stub.url, protocol: '4' });
  await waitFor(() => world.link.status().state === 'connected');
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const published = world.link.publish({ topic: 'lk1/acme/d/press-7/reported', payload: '{}', qos: 1 });
  const outcome = expect(published).rejects.toMatchObject({ fault: { code: 'BROKER_NET', retryable: true } });
  await vi.advanceTimersByTimeAsync(30_000);
  await outcome;
  expect(world.link.status().state).toBe('offline');
});

test('finds the filter on which a broker closes the connection, leaves it out and stays connected', async () => {
  const { url, aedes, connects } = await startAedes({
    authorizeSubscribe: (_client, sub, done) =>
      sub.topic === GROUP ? done(new Error('not yours')) : done(null, sub),
  });
  const world = startLink({ url }, { clock: fastClock(20), filters: [DESIRED, GROUP, COMMANDS] });
  await waitFor(() => world.link.status().state === 'connected');
  expect(world.link.status().refusedFilters).toEqual([GROUP]);
  expect(world.link.status().problems).toMatchObject([{ code: 'BROKER_FILTER_REFUSED' }]);
  expect(world.link.status().problems[0]?.message).toContain(GROUP);
  expect(connects.length).toBeLessThanOrEqual(5);
  aedes.publish(
    { cmd: 'publish', topic: PING, payload: 'hi', qos: 1, retain: false, dup: false },
    () => undefined,
  );
  await waitFor(() => world.texts(PING).includes('hi'));
});

test('gets over a session that a broker stored and can no longer restore', async () => {
  let isAllowed = true;
  const { url } = await startAedes({
    authorizeSubscribe: (_client, sub, done) =>
      sub.topic === GROUP && !isAllowed ? done(new Error('not yours')) : done(null, sub),
  });
  const before = startLink({ url, protocol: '4' }, { filters: [DESIRED, GROUP] });
  await waitFor(() => before.link.status().state === 'connected');
  await before.link.stop();
  isAllowed = false;
  const after = startLink({ url, protocol: '4' }, { clock: fastClock(20), filters: [DESIRED] });
  await waitFor(() => after.link.status().state === 'connected');
});

test('goes on without a filter that is refused in the answer, and takes it when it is allowed', async () => {
  let isAllowed = false;
  const { url } = await startAedes({
    authorizeSubscribe: (_client, sub, done) => done(null, sub.topic === GROUP && !isAllowed ? null : sub),
  });
  const world = startLink({ url }, { clock: fastClock(500), filters: [DESIRED, COMMANDS, GROUP] });
  await waitFor(() => world.link.status().state === 'connected');
  expect(world.link.status()).toMatchObject({
    refusedFilters: [GROUP],
    problems: [{ code: 'BROKER_FILTER_REFUSED' }],
  });
  isAllowed = true;
  await waitFor(() => world.link.status().refusedFilters.length === 0);
  expect(world.link.status().connects).toBe(world.ups.at(-1)?.connect);
});

test('subscribes and unsubscribes on the standing link', async () => {
  const { url, aedes } = await startAedes();
  const world = startLink({ url });
  await waitFor(() => world.ups.length === 1);
  const cloud = await mqttPeer(url);
  world.link.subscribe([DESIRED, COMMANDS, GROUP]);
  await waitFor(async () => {
    await cloud.publish('lk1/acme/g/lab/cmd/stop', 'all');
    return world.texts('lk1/acme/g/lab/cmd/stop').length > 0;
  });
  const unsubscribed = new Promise((resolve) => aedes.once('unsubscribe', (filters) => resolve(filters)));
  world.link.subscribe([DESIRED, COMMANDS]);
  expect(await unsubscribed).toEqual([GROUP]);
});

test('cuts ten megabytes on 3.1.1 to a little, and rests a minute after the third', async () => {
  const { url } = await startAedes();
  const world = startLink({ url, protocol: '4' }, { clock: fastClock(30) });
  await waitFor(() => world.ups.length === 1);
  const cloud = await mqttPeer(url);
  const big = Buffer.alloc(10 * 1024 * 1024, 0x61);
  for (let i = 0; i < 3; i += 1) await cloud.publish(PING, big);
  await waitFor(() => world.link.status().problems.some((p) => p.code === 'BROKER_FLOOD'));
  expect(world.messages.map((m) => m.payload.length > 65_536 && m.payload.length < 140_000)).toEqual([
    true,
    true,
    true,
  ]);
  await waitFor(() => world.ups.length === 2);
  await cloud.publish(PING, 'after');
  await waitFor(() => world.texts(PING).includes('after'));
  expect(world.messages).toHaveLength(4);
});

test('ignores every proxy that the environment names', async () => {
  const dead = `http://127.0.0.1:${await freePort()}`;
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'MQTTJS_SOCKS_PROXY', 'NODE_USE_ENV_PROXY'];
  const before = names.map((name) => process.env[name]);
  for (const name of names) process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : dead;
  onTestFinished(() => {
    names.forEach((name, i) => {
      if (before[i] === undefined) delete process.env[name];
      else process.env[name] = before[i];
    });
  });
  const { url } = await startAedes();
  const world = startLink({ url });
  await waitFor(() => world.link.status().state === 'connected');
});

test('connects over WebSocket with a path', async () => {
  const aedes = await Aedes.createBroker();
  const http = createHttpServer();
  const paths: (string | undefined)[] = [];
  new WebSocketServer({ server: http, path: '/mqtt', handleProtocols: () => 'mqtt' }).on(
    'connection',
    (socket, request) => {
      paths.push(request.url);
      aedes.handle(createWebSocketStream(socket), request);
    },
  );
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    await new Promise<void>((resolve) => aedes.close(() => resolve()));
    http.closeAllConnections();
  });
  const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/mqtt?site=a`;
  const world = startLink({ url, protocol: '4' });
  await waitFor(() => world.link.status().state === 'connected');
  await world.link.publish({ topic: 'lk1/acme/d/press-7/health', payload: '{}', qos: 1 });
  expect(paths).toEqual(['/mqtt?site=a']);
  expect(world.link.status().broker).not.toContain('site=');
});

test('keeps trying while a peer accepts and stays silent or refuses', async () => {
  const port = await freePort();
  const world = startLink({ url: `mqtt://127.0.0.1:${port}` }, { clock: fastClock(100) });
  await waitFor(() => world.changes.filter((s) => s.state === 'offline').length >= 4);
  expect(world.link.status().lastError).toMatchObject({ code: 'BROKER_NET', retryable: true });
  expect(world.link.status().connects).toBe(0);
});
