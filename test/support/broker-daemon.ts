/** The whole daemon on a broker of MQTT 3.1.1, with the rights of docs/brokers.md. */
import { expect, onTestFinished } from 'vitest';
import { type BrokerRig, DEVICES, PASSWORD } from './broker-rig.ts';
import { type Cloud, connectCloud } from './cloud.ts';
import { type Device, startDevice, stateOf } from './device.ts';
import { place } from './test-ca.ts';
import { waitFor } from './wait-for.ts';

export interface BrokerDaemon {
  /** A stored document, commands, a lease, a new authtoken. */
  serve(): Promise<void>;
  /** After the broker was away: the link, a visitor meanwhile and afterwards, commands, and what is reported anew. */
  comeBack(): Promise<void>;
  /** kill -9, and the will. */
  die(): Promise<void>;
}

const conditions = async (device: Device): Promise<readonly string[]> =>
  (await device.status()).conditions.map(({ code }) => code);

const serve = async (device: Device, cloud: Cloud): Promise<void> => {
  await cloud.desired(3, []);
  device.spawn();
  const first = await device.until((s) => s.link.state === 'connected', 'the link', 30_000);
  expect(first.link.protocol).toBe(4);
  await waitFor(() => cloud.reported()?.applied === 3, { what: 'the stored document is applied' });
  expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded' });
  expect(await cloud.command('start', { args: { ep: 'web', lease_s: 300 } })).toMatchObject({
    status: 'succeeded',
  });
  expect((await device.visit()).status).toBe(200);
  await device.fault({ op: 'token', authtoken: 'second-token' });
  expect(await cloud.rekey('second-token', 7)).toMatchObject({ status: 'succeeded', out: { gen: 7 } });
  expect(await conditions(device)).toEqual(['BROKER_MODE']);
};

/** Makes the device and its cloud; the daemon starts with `serve`. Everything ends with the test. */
export const daemonOn = async (rig: BrokerRig): Promise<BrokerDaemon> => {
  const [id = ''] = DEVICES;
  const device = await startDevice({ start: false });
  await device.writeConfig({
    device: { id, tenant: 'acme' },
    mqtt: {
      url: rig.url,
      username: id,
      passwordFile: await place(device.dir, 'mqtt-password', `${PASSWORD}\n`),
    },
  });
  const cloud = await connectCloud({ url: rig.operatorUrl, tenant: 'acme', device: id });
  onTestFinished(() => cloud.end());
  return {
    serve: () => serve(device, cloud),
    comeBack: async () => {
      expect((await device.visit()).status).toBe(200);
      await device.until((s) => s.link.state === 'connected', 'the link is back', 60_000);
      await waitFor(() => cloud.presence()?.n !== 1 && cloud.presence()?.online, { what: 'the new birth' });
      expect(await cloud.command('stop', { args: { ep: 'web' } })).toMatchObject({ status: 'succeeded' });
      expect(stateOf(await device.status())).toBe('down');
      expect(await conditions(device)).toEqual(['BROKER_MODE']);
    },
    die: async () => {
      await device.kill('SIGKILL');
      await waitFor(() => cloud.presence()?.online === false, { what: 'the will', deadlineMs: 45_000 });
    },
  };
};
