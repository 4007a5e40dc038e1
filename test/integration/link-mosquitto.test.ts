import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fastClock, startLink } from '../support/link-world.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { mqttPeer } from '../support/mqtt-peer.ts';
import { spawnProgram } from '../support/spawn-node.ts';
import { tempDir } from '../support/temp-dir.ts';
import { place } from '../support/test-ca.ts';
import { waitFor } from '../support/wait-for.ts';

const DESIRED = 'lk1/acme/d/press-7/desired';
const PING = 'lk1/acme/d/press-7/cmd/ping';

test('speaks MQTT 5, takes commands and stored documents', async () => {
  const broker = await startMosquitto();
  const cloud = await mqttPeer(broker.url);
  await cloud.publish(DESIRED, 'document 1', { retain: true });
  const world = startLink({ url: broker.url });
  await waitFor(() => world.texts(DESIRED).length === 1);
  expect(world.link.status()).toMatchObject({
    state: 'connected',
    protocol: 5,
    connects: 1,
    refusedFilters: [],
  });
  await cloud.publish(PING, 'hello');
  await waitFor(() => world.texts(PING).includes('hello'));
});

test('never gets a command that was stored at the broker', async () => {
  const broker = await startMosquitto();
  const cloud = await mqttPeer(broker.url);
  await cloud.publish(PING, 'old', { retain: true });
  const world = startLink({ url: broker.url });
  await waitFor(() => world.ups.length === 1);
  await cloud.publish(PING, 'new');
  await waitFor(() => world.texts(PING).includes('new'));
  expect(world.texts(PING)).toEqual(['new']);
});

test('gets the stored document again on every connect', async () => {
  const broker = await startMosquitto();
  const world = startLink({ url: broker.url });
  await waitFor(() => world.ups.length === 1);
  const cloud = await mqttPeer(broker.url);
  await cloud.publish(DESIRED, 'document 1', { retain: true });
  await waitFor(() => world.texts(DESIRED).length === 1);
  const other = await mqttPeer(broker.url, { clientId: 'press-7', clean: false });
  await waitFor(() => world.texts(DESIRED).length === 2);
  await other.end();
  expect(world.link.status()).toMatchObject({ state: 'connected', connects: 2 });
});

test('acknowledges a message only after its handler is done', async () => {
  const broker = await startMosquitto();
  let finish: () => void = () => undefined;
  let calls = 0;
  const world = startLink(
    { url: broker.url },
    {
      handlers: {
        message: () => {
          calls += 1;
          return new Promise<void>((resolve) => {
            finish = resolve;
          });
        },
      },
    },
  );
  await waitFor(() => world.ups.length === 1);
  const cloud = await mqttPeer(broker.url);
  await cloud.publish(PING, 'once');
  await waitFor(() => calls === 1);
  expect(broker.log()).not.toMatch(/Received PUBACK from press-7/);
  finish();
  await waitFor(() => /Received PUBACK from press-7/.test(broker.log()));
});

test('lets a handler publish and wait for the broker while its message is still unacknowledged', async () => {
  const broker = await startMosquitto();
  let published = 0;
  const world = startLink(
    { url: broker.url },
    {
      handlers: {
        message: async () => {
          await world.link.publish({ topic: 'lk1/acme/d/press-7/res/1', payload: '{}', qos: 1, expiryS: 60 });
          published += 1;
        },
      },
    },
  );
  await waitFor(() => world.ups.length === 1);
  const cloud = await mqttPeer(broker.url);
  await cloud.publish(PING, 'a');
  await cloud.publish(PING, 'b');
  await waitFor(() => published === 2);
});

test('sends no will when it stops in order, and a will when it is cut', async () => {
  const broker = await startMosquitto();
  const cloud = await mqttPeer(broker.url, { subscribe: 'lk1/acme/d/+/presence' });
  const orderly = startLink({ url: broker.url, protocol: '4' });
  await waitFor(() => orderly.ups.length === 1);
  await orderly.link.stop();
  const cut = startLink({ url: broker.url, protocol: '4' }, { clientId: 'press-8' });
  await waitFor(() => cut.ups.length === 1);
  await mqttPeer(broker.url, { clientId: 'press-8' });
  await waitFor(() => cloud.messages.length > 0);
  expect(cloud.messages[0]).toMatchObject({ topic: 'lk1/acme/d/press-8/presence', text: 'lost 1' });
});

test('comes back after the broker crashed, with a new ordinal in its will', async () => {
  const broker = await startMosquitto();
  const world = startLink({ url: broker.url });
  await waitFor(() => world.ups.length === 1);
  await broker.stop('SIGKILL');
  await waitFor(() => world.link.status().state === 'offline');
  await expect(world.link.publish({ topic: 'x', payload: '{}', qos: 1 })).rejects.toMatchObject({
    fault: { code: 'BROKER_NET', retryable: true },
  });
  await broker.start();
  await waitFor(() => world.ups.length === 2);
  expect(world.ups[1]).toMatchObject({ connect: 2, protocol: 5, sessionPresent: false });
});

test('uses its own topic aliases without mixing up topics', async () => {
  const broker = await startMosquitto();
  const cloud = await mqttPeer(broker.url, { subscribe: 'lk1/acme/d/press-7/#' });
  const world = startLink({ url: broker.url });
  await waitFor(() => world.ups.length === 1);
  const topics = Array.from({ length: 30 }, (_, i) => `lk1/acme/d/press-7/res/${i % 15}`);
  for (const topic of topics) await world.link.publish({ topic, payload: JSON.stringify({ topic }), qos: 1 });
  await waitFor(() => cloud.messages.filter((m) => m.topic.includes('/res/')).length === 30);
  for (const m of cloud.messages.filter((m) => m.topic.includes('/res/')))
    expect(JSON.parse(m.text)).toEqual({ topic: m.topic });
});

test('drops a message of ten megabytes on MQTT 5 without losing the link', async () => {
  const broker = await startMosquitto();
  const world = startLink({ url: broker.url });
  await waitFor(() => world.ups.length === 1);
  const cloud = await mqttPeer(broker.url);
  await cloud.publish(PING, Buffer.alloc(10 * 1024 * 1024, 0x61));
  await cloud.publish(PING, 'after');
  await waitFor(() => world.texts(PING).includes('after'));
  expect(world.texts(PING)).toEqual(['after']);
  expect(world.link.status()).toMatchObject({ state: 'connected', connects: 1 });
});

test('names a topic that the broker denies and leaves it alone', async () => {
  const broker = await startMosquitto({
    acl: 'topic read lk1/#\ntopic write lk1/acme/d/press-7/health\ntopic write lk1/acme/d/press-7/presence\n',
  });
  const world = startLink({ url: broker.url });
  await waitFor(() => world.ups.length === 1);
  const report = () => world.link.publish({ topic: 'lk1/acme/d/press-7/reported', payload: '{}', qos: 1 });
  await expect(report()).rejects.toMatchObject({ fault: { code: 'BROKER_PUBLISH_DENIED' } });
  const denials = () => broker.log().match(/Denied PUBLISH from press-7/g)?.length ?? 0;
  await waitFor(() => denials() === 1);
  await expect(report()).rejects.toMatchObject({ fault: { code: 'BROKER_PUBLISH_DENIED' } });
  await world.link.publish({ topic: 'lk1/acme/d/press-7/health', payload: '{}', qos: 1 });
  expect(denials()).toBe(1);
  expect(world.link.status().problems).toMatchObject([{ code: 'BROKER_PUBLISH_DENIED' }]);
});

test('reads the password again at each connect and says when it is refused', async () => {
  const dir = await tempDir();
  const hashes = join(dir, 'hashes');
  const made = spawnProgram('mosquitto_passwd', ['-b', '-c', hashes, 'press-7', 'the right one']);
  expect((await made.exit).code).toBe(0);
  const broker = await startMosquitto({ passwordFile: hashes });
  const passwordFile = await place(dir, 'password', 'the wrong one\n');
  const world = startLink({ url: broker.url, username: 'press-7', passwordFile }, { clock: fastClock(20) });
  await waitFor(() => world.link.status().problems.some((p) => p.code === 'BROKER_AUTH_REFUSED'));
  expect(JSON.stringify(world.changes)).not.toContain('the wrong one');
  await place(dir, 'password', 'the right one\r\n');
  await waitFor(() => world.link.status().state === 'connected');
  expect(world.link.status()).toMatchObject({ protocol: 5, problems: [] });
});

test('names a second client with its id and backs off, though the broker does not tell', async () => {
  const broker = await startMosquitto();
  const world = startLink({ url: broker.url }, { clock: fastClock(20) });
  const isNamed = () => world.link.status().problems.some((p) => p.code === 'DUPLICATE_CLIENT');
  for (let i = 0; i < 4; i += 1) {
    await waitFor(() => world.link.status().state === 'connected');
    const connects = world.ups.length;
    await mqttPeer(broker.url, { clientId: 'press-7' });
    await waitFor(() => world.ups.length > connects);
  }
  expect(isNamed()).toBe(true);
  expect(world.link.status().state).toBe('connected');
});
