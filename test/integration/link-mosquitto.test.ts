/** What Mosquitto's log proves; brokers-mosquitto.test.ts asks it what every broker is asked. */
import { expect, test } from 'vitest';
import { startLink } from '../support/link-world.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { mqttPeer } from '../support/mqtt-peer.ts';
import { waitFor } from '../support/wait-for.ts';

const PING = 'lk1/acme/d/press-7/cmd/ping';

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
