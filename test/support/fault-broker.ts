import { onTestFinished } from 'vitest';
import { type Cloud, connectCloud } from './cloud.ts';
import { type Device, type DeviceOptions, startDevice } from './device.ts';
import { type Mosquitto, startMosquitto } from './mosquitto.ts';

export interface BrokerWorld {
  readonly broker: Mosquitto;
  readonly cloud: Cloud;
  readonly device: Device;
}

/** A device on a real broker that holds nothing back: however many messages wait for a client, none is thrown away. */
export const startOnMosquitto = async (
  protocol: '4' | '5',
  options: Pick<DeviceOptions, 'config' | 'sandbox' | 'upstream'> = {},
): Promise<BrokerWorld> => {
  const broker = await startMosquitto({ extra: ['max_queued_messages 0'] });
  const cloud = await connectCloud({ url: broker.url, tenant: 'sandbox', device: 'device-1' });
  onTestFinished(() => cloud.end());
  const device = await startDevice({ ...options, start: false });
  await device.writeConfig({ ...options.config, mqtt: { url: broker.url, protocol } });
  device.spawn();
  await device.until((s) => s.link.state === 'connected', 'the link');
  return { broker, cloud, device };
};
