/** A device in the image against a broker that is set up word for word as the documentation says. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { GenericContainer } from 'testcontainers';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { createTestCa } from '../support/test-ca.ts';
import { waitFor } from '../support/wait-for.ts';
import { startBench } from './support/bench.ts';
import { LockkeeperContainer } from './support/docker.ts';
import { BASE_IMAGE, ROOT } from './support/images.ts';

/** The block of the page that begins with this line. */
const blockWith = async (page: string, line: string): Promise<string> => {
  const text = await readFile(join(ROOT, page), 'utf8');
  const block = [...text.matchAll(/^```\w*\n(.*?)^```$/gms)]
    .map(([, inside = '']) => inside)
    .find((b) => b.includes(line));
  if (block === undefined) throw new Error(`${page} has no block with ${line}`);
  return block;
};

describe.skipIf(inject('noDocker') !== '')(
  'Mosquitto with client certificates and the documented rights',
  () => {
    test('a device is served with its own certificate, and hears and says nothing of another', async () => {
      const bench = await startBench();
      onTestFinished(() => bench.end());
      const port = await freePort();
      const ca = await createTestCa();
      const [server, device, other, operator] = [
        await ca.issue({ cn: 'broker', ip: ['127.0.0.1'] }),
        await ca.issue({ cn: 'device-1' }),
        await ca.issue({ cn: 'device-2' }),
        await ca.issue({ cn: 'operator' }),
      ];
      const folder = await bench.folder({
        mqtt: {
          url: `mqtts://127.0.0.1:${port}`,
          caFile: '/etc/lockkeeper/broker-ca.pem',
          certFile: '/etc/lockkeeper/device.pem',
          keyFile: '/etc/lockkeeper/device.key',
        },
      });
      await writeFile(join(folder, 'broker-ca.pem'), ca.cert, { mode: 0o644 });
      await writeFile(join(folder, 'device.pem'), device.cert, { mode: 0o644 });
      await writeFile(join(folder, 'device.key'), device.key, { mode: 0o644 });

      const acl = (await blockWith('docs/install.md', 'user operator')).replaceAll('acme', 'sandbox');
      const conf = (await blockWith('docs/install.md', 'use_identity_as_username')).replace(
        '8883',
        `${port} 127.0.0.1`,
      );
      const own = (content: string, name: string) => ({
        content,
        target: `/etc/mosquitto/lk/${name}`,
        mode: 0o644,
      });
      const broker = await new GenericContainer(BASE_IMAGE)
        .withNetworkMode('host')
        .withCopyContentToContainer([
          own(conf.replaceAll('/etc/mosquitto/', '/etc/mosquitto/lk/'), 'mosquitto.conf'),
          own(acl, 'lockkeeper.acl'),
          own(ca.cert, 'ca.pem'),
          own(server.cert, 'broker.pem'),
          own(server.key, 'broker.key'),
        ])
        .withCommand(['mosquitto', '-c', '/etc/mosquitto/lk/mosquitto.conf'])
        .start();
      onTestFinished(async () => {
        await broker.stop();
      });

      const as = async ({ cert, key }: { readonly cert: string; readonly key: string }, clientId: string) => {
        const options = {
          ca: ca.cert,
          cert,
          key,
          clientId,
          protocolVersion: 5,
          reconnectPeriod: 200,
        } as const;
        const client = await connectAsync(`mqtts://127.0.0.1:${port}`, options);
        onTestFinished(() => client.endAsync(true));
        const heard: { readonly topic: string; readonly text: string }[] = [];
        client.on('message', (topic, payload) => heard.push({ topic, text: payload.toString() }));
        return { client, heard };
      };
      const cloud = await waitFor(() => as(operator, 'operator').catch(() => undefined), {
        what: 'the broker',
      });
      await cloud.client.subscribeAsync('lk1/sandbox/d/#', { qos: 1 });
      const stranger = await as(other, 'device-2');
      await stranger.client.subscribeAsync('#', { qos: 1 }).catch(() => undefined);
      await stranger.client.subscribeAsync('lk1/sandbox/d/device-2/cmd/+', { qos: 1 });

      const container = await new LockkeeperContainer(folder).start();
      onTestFinished(async () => {
        await container.stop();
      });
      const said = (leaf: string): string | undefined =>
        cloud.heard.findLast(({ topic }) => topic === `lk1/sandbox/d/device-1/${leaf}`)?.text;
      await waitFor(() => said('presence')?.includes('"online":true'), {
        what: 'the birth',
        deadlineMs: 45_000,
      });
      await waitFor(() => said('hello') !== undefined && said('reported') !== undefined, {
        what: 'hello and reported',
      });

      const now = Math.floor(Date.now() / 1000);
      const id = '01K0000000000000000000TEST';
      const command = { v: 1, id, to: 'd:device-1', op: 'ping', iat: now, exp: now + 60, seq: now };
      // Another device may not command this one, nor speak for it.
      for (const topic of ['cmd/ping', 'presence'])
        await stranger.client
          .publishAsync(`lk1/sandbox/d/device-1/${topic}`, JSON.stringify(command), { qos: 1 })
          .catch(() => undefined);
      await cloud.client.publishAsync('lk1/sandbox/d/device-1/cmd/ping', JSON.stringify(command), { qos: 1 });
      await waitFor(() => said(`res/${id}`)?.includes('"succeeded"'), {
        what: 'the result',
        deadlineMs: 30_000,
      });
      expect(cloud.heard.filter(({ topic }) => topic.endsWith('/cmd/ping'))).toHaveLength(1);
      expect(said('presence')).toContain('"online":true');
      expect(stranger.heard).toEqual([]);
    });
  },
);
