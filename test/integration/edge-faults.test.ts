import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import { expect, test } from 'vitest';
import { fetchOver } from '../support/direct-http.ts';
import { type EdgeWorld, startEdgeWorld, TOKEN } from '../support/edge-world.ts';
import { RawAgent } from '../support/raw-agent.ts';
import { spawnNode } from '../support/spawn-node.ts';
import { pathUpstream } from '../support/upstreams.ts';
import { waitFor } from '../support/wait-for.ts';

const portOf = (world: EdgeWorld): number => Number(world.edge.addr.split(':')[1]);

/** Long enough for an answer of a live edge to arrive many times over. */
const LONG_ENOUGH_MS = 300;

const isSettled = async (promise: Promise<unknown>): Promise<boolean> => {
  const late = Symbol('late');
  const first = await Promise.race([promise.catch(() => null), delay(LONG_ENOUGH_MS, late)]);
  return first !== late;
};

test('refuse: the port refuses new connections, live ones stay, and the same port opens again', async () => {
  const world = await startEdgeWorld();
  const agent = await world.connected();
  await world.edge.faults.refuse(true);
  const refused = net.connect(portOf(world), '127.0.0.1');
  const [error] = await once(refused, 'error');
  expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  expect(world.edge.sessions.size).toBe(1);
  await agent.bind({
    name: 'web',
    proto: 'http',
    calls: [['domain', 'a.edge.test']],
    to: 'http://127.0.0.1:9',
  });
  await world.edge.faults.refuse(false);
  await agent.connect({
    serverAddr: world.edge.addr,
    caPem: world.authority.cert,
    authtoken: TOKEN,
    session: 'second',
  });
  expect(world.edge.sessions.size).toBe(2);
});

test('refuse: switching back and forth ends in the last state asked for', async () => {
  const world = await startEdgeWorld();
  const { refuse } = world.edge.faults;
  await Promise.all([refuse(true), refuse(false), refuse(true), refuse(true), refuse(false), refuse(false)]);
  await world.connected();
  expect(world.edge.sessions.size).toBe(1);
});

test('silence: nothing is read or written on a live session, and all of it goes on at the thaw', async () => {
  const world = await startEdgeWorld();
  const upstream = await pathUpstream();
  const agent = await world.connected({ heartbeatS: 1, toleranceS: 1 });
  const to = `http://127.0.0.1:${upstream.port}`;
  await agent.bind({ name: 'web', proto: 'http', calls: [['domain', 'a.edge.test']], to });
  const [endpoint] = world.edge.members('https', 'a.edge.test');
  if (endpoint === undefined) throw new Error('not bound');
  world.edge.faults.silence(true);
  const binding = agent.bind({ name: 'other', proto: 'http', calls: [['domain', 'b.edge.test']], to });
  const fetching = fetchOver(endpoint);
  expect(await isSettled(Promise.race([binding, fetching]))).toBe(false);
  // The SDK reports the missing beats and stays; so does the edge, whose own silence this is.
  await waitFor(() => agent.events.some(({ event, latencyMs }) => event === 'beat' && latencyMs === null));
  expect(world.edge.sessions.size).toBe(1);
  world.edge.faults.silence(false);
  await binding;
  expect((await fetching).status).toBe(200);
  expect(agent.events.some(({ event }) => event === 'disconnect')).toBe(false);
});

test('silence: what the edge wants to say meanwhile is said at the thaw', async () => {
  const world = await startEdgeWorld();
  const agent = await RawAgent.dial(world);
  await agent.beat();
  await agent.auth();
  const [session] = [...world.edge.sessions.values()];
  world.edge.faults.silence(true);
  const before = agent.frames.length;
  const command = session?.command('stop').catch((error: Error) => error.message);
  await delay(LONG_ENOUGH_MS);
  expect(agent.frames.length).toBe(before);
  world.edge.faults.silence(false);
  await waitFor(() => agent.frames.length > before);
  agent.socket.destroy();
  expect(await command).toMatch(/closed/);
});

test('silence: new TCP connections are accepted and get no answer to their handshake until the thaw', async () => {
  const world = await startEdgeWorld();
  world.edge.faults.silence(true);
  const raw = net.connect(portOf(world), '127.0.0.1');
  await once(raw, 'connect');
  const agent = await world.agent();
  const connecting = agent.connect({
    serverAddr: world.edge.addr,
    caPem: world.authority.cert,
    authtoken: TOKEN,
  });
  expect(await isSettled(Promise.race([connecting, once(raw, 'close')]))).toBe(false);
  world.edge.faults.silence(false);
  await connecting;
  raw.destroy();
});

test('silence: a handshake that has begun stands still, too', async () => {
  const world = await startEdgeWorld();
  const upstream = net.createServer();
  // A relay in the middle freezes the edge between the two flights of a TLS 1.2 handshake.
  upstream.on('connection', (client) => {
    const edge = net.connect(portOf(world), '127.0.0.1');
    edge.once('data', () => world.edge.faults.silence(true));
    client.pipe(edge).pipe(client);
    edge.on('error', () => client.destroy());
    client.on('error', () => edge.destroy());
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const address = upstream.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const tls = tlsConnect({
    port,
    host: '127.0.0.1',
    ca: world.authority.cert,
    maxVersion: 'TLSv1.2',
  });
  const secured = once(tls, 'secureConnect');
  expect(await isSettled(secured)).toBe(false);
  world.edge.faults.silence(false);
  await secured;
  tls.destroy();
  upstream.close();
});

test('silence: connections can be cut while they are frozen', async () => {
  const world = await startEdgeWorld();
  const agent = await RawAgent.dial(world);
  world.edge.faults.silence(true);
  world.edge.faults.drop('rst');
  await agent.closed;
});

test('delay: every answer leaves that much later, and none is lost', async () => {
  const world = await startEdgeWorld();
  world.edge.faults.delay(LONG_ENOUGH_MS);
  const started = performance.now();
  const agent = await world.connected();
  const connected = performance.now();
  await agent.bind({
    name: 'web',
    proto: 'http',
    calls: [['domain', 'a.edge.test']],
    to: 'http://127.0.0.1:9',
  });
  const bound = performance.now();
  await agent.close('web');
  expect(connected - started).toBeGreaterThanOrEqual(LONG_ENOUGH_MS - 1);
  expect(bound - connected).toBeGreaterThanOrEqual(LONG_ENOUGH_MS - 1);
  expect(performance.now() - bound).toBeGreaterThanOrEqual(LONG_ENOUGH_MS - 1);
});

test('delay: no connection is let through before the delayed answer to a bind', async () => {
  const world = await startEdgeWorld();
  const upstream = await pathUpstream();
  const agent = await world.connected();
  world.edge.faults.delay(LONG_ENOUGH_MS);
  const early: Promise<{ status: number }>[] = [];
  world.edge.events.on('endpoint-bound', (endpoint) => early.push(fetchOver(endpoint)));
  const to = `http://127.0.0.1:${upstream.port}`;
  await agent.bind({ name: 'web', proto: 'http', calls: [['domain', 'a.edge.test']], to });
  expect(await Promise.all(early)).toMatchObject([{ status: 200 }]);
});

test('drop: a cut by reset looks like one to the agent', async () => {
  const world = await startEdgeWorld();
  const agent = await RawAgent.dial(world);
  await agent.beat();
  await agent.auth();
  const failed = once(agent.socket, 'error');
  world.edge.faults.drop('rst');
  expect((await failed)[0]).toMatchObject({ code: 'ECONNRESET' });
  await waitFor(() => world.edge.sessions.size === 0);
});

test('rubbish instead of TLS, and instead of frames, ends that connection alone', async () => {
  const world = await startEdgeWorld();
  const agent = await RawAgent.dial(world);
  await agent.beat();
  await agent.auth();
  const plain = net.connect(portOf(world), '127.0.0.1');
  plain.on('error', () => undefined);
  plain.write('GET / HTTP/1.1\r\n\r\n');
  plain.resume();
  await once(plain, 'close');
  const rubbish = await RawAgent.dial(world);
  rubbish.socket.write(Buffer.alloc(64, 0xff));
  await rubbish.closed;
  const reset = await RawAgent.dial(world);
  reset.write(3, 0, 0, Buffer.alloc(8));
  await reset.closed;
  expect(await agent.beat()).toEqual(Buffer.from('beat'));
});

test('40: a process that closes its edge, with agents connected and things going on, ends by itself', async () => {
  const process = spawnNode('test/support/edge-shutdown.ts');
  const { code, signal, stdout, stderr } = await process.exit;
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  expect(stdout).toBe('closed\n');
});
