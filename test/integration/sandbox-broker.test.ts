import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import mqtt, { type MqttClient } from 'mqtt';
import { afterEach, expect, test } from 'vitest';
import { type Broker, type BrokerOptions, startBroker } from '../../src/sandbox/broker.ts';
import { waitFor } from '../support/wait-for.ts';

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

const broker = async (options: BrokerOptions = {}): Promise<Broker> => {
  const started = await startBroker(options);
  opened.push(() => started.close());
  return started;
};
const client = (url: string, options: mqtt.IClientOptions = {}): MqttClient => {
  const made = mqtt.connect(url, { reconnectPeriod: 20, ...options });
  made.on('error', () => undefined);
  opened.push(() => made.endAsync(true));
  return made;
};
/** Arguments of the client's next event; unlike `once` of node:events it does not fail on an error in between. */
const next = (emitter: MqttClient, event: 'connect' | 'close' | 'error' | 'message'): Promise<unknown[]> =>
  new Promise((resolve) => {
    emitter.once(event, (...args: unknown[]) => resolve(args));
  });
const connected = async (url: string, options?: mqtt.IClientOptions): Promise<MqttClient> => {
  const made = client(url, options);
  await next(made, 'connect');
  return made;
};

test('carries messages, keeps retained ones and sends the will of a client that vanishes', async () => {
  const { url } = await broker();
  const lost = await connected(url, {
    will: { topic: 'w', payload: Buffer.from('offline'), qos: 1, retain: true },
  });
  const reader = await connected(url);
  const seen: string[] = [];
  reader.on('message', (topic, payload) => seen.push(`${topic}=${payload}`));
  await lost.publishAsync('kept', '1', { qos: 1, retain: true });
  await reader.subscribeAsync(['kept', 'w']);
  await waitFor(() => seen.includes('kept=1'));
  lost.stream.destroy();
  await waitFor(() => seen.includes('w=offline'));
});

test('cuts its clients when it goes down, refuses others, and comes back on the same port with what it kept', async () => {
  const server = await broker();
  const one = await connected(server.url, { clientId: 'one' });
  await one.publishAsync('kept', '1', { qos: 1, retain: true });
  expect(server.clientIds).toEqual(['one']);

  const closed = next(one, 'close');
  await server.setOn(false);
  await closed;
  expect(server.isOn).toBe(false);
  const refused = connectTcp(Number(new URL(server.url).port), '127.0.0.1');
  const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toBe('ECONNREFUSED');

  const back = next(one, 'connect');
  await server.setOn(true);
  await back;
  const got = next(one, 'message');
  await one.subscribeAsync('kept');
  expect(String((await got)[1])).toBe('1');
});

test('ends in the state that was asked for last when switched in quick turn', async () => {
  const server = await broker();
  await Promise.all([server.setOn(false), server.setOn(true), server.setOn(false), server.setOn(true)]);
  await connected(server.url);
  expect(server.isOn).toBe(true);
});

test('refuses bad passwords and topics that the access rules forbid', async () => {
  const { url } = await broker({
    authenticate: (username, password) => username === 'u' && password === 'p',
    mayPublish: (_id, topic) => topic !== 'forbidden',
    maySubscribe: (_id, filter) => !filter.startsWith('private/'),
  });
  const stranger = client(url, { username: 'u', password: 'wrong' });
  const [error] = await next(stranger, 'error');
  expect(error).toMatchObject({ code: 4 });

  const friend = await connected(url, { username: 'u', password: 'p' });
  await expect(friend.subscribeAsync(['private/x'])).rejects.toThrow('Subscribe error');
  const cut = next(friend, 'close');
  friend.publish('forbidden', 'x', { qos: 1 });
  await cut;
});

test('speaks MQTT over WebSocket too, and takes it down with the rest', async () => {
  const server = await broker({ websocket: true });
  if (server.wsUrl === null) throw new Error('no WebSocket listener');
  const web = await connected(server.wsUrl);
  const tcp = await connected(server.url);
  const got = next(tcp, 'message');
  await tcp.subscribeAsync('t');
  await web.publishAsync('t', 'hello', { qos: 1 });
  expect(String((await got)[1])).toBe('hello');
  const closed = next(web, 'close');
  await server.setOn(false);
  await closed;
  const back = next(web, 'connect');
  await server.setOn(true);
  await back;
});

test('takes a long message that follows the connect packet at once', async () => {
  const { url } = await broker();
  const watcher = await connected(url);
  const got = next(watcher, 'message');
  await watcher.subscribeAsync('t');
  const socket = connectTcp(Number(new URL(url).port), '127.0.0.1');
  opened.push(async () => socket.destroy());
  const payload = Buffer.alloc(2_000_000, 'x');
  const connectPacket = Buffer.from('101200044d5154540402003c0006706965636573', 'hex');
  // 2,000,003 bytes remain: the topic with its length, and the payload.
  const publishHead = Buffer.from('3083897a000174', 'hex');
  socket.write(Buffer.concat([connectPacket, publishHead, payload]));
  expect(payload.equals((await got)[1] as Buffer)).toBe(true);
});

test('cuts one client and leaves the others', async () => {
  const server = await broker();
  const one = await connected(server.url, { clientId: 'one' });
  const two = await connected(server.url, { clientId: 'two' });
  const closed = next(one, 'close');
  expect(server.cut('one')).toBe(true);
  await closed;
  expect(two.connected).toBe(true);
  expect(server.cut('nobody')).toBe(false);
});
