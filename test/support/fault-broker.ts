import type { Cloud } from './cloud.ts';
import { type Device, type DeviceOptions, startDevice } from './device.ts';
import { type Mosquitto, startMosquitto } from './mosquitto.ts';

export interface BrokerWorld {
  readonly broker: Mosquitto;
  readonly cloud: Cloud;
  readonly device: Device;
}

/** A real broker that holds nothing back: however many messages wait for a client, none is thrown away. */
export const faultBroker = (): Promise<Mosquitto> => startMosquitto({ extra: ['max_queued_messages 0'] });

/** A device on such a broker, with its link. */
export const startOnMosquitto = async (
  protocol: '4' | '5',
  options: Pick<DeviceOptions, 'config' | 'sandbox' | 'upstream'> = {},
): Promise<BrokerWorld> => {
  const broker = await faultBroker();
  const device = await startDevice({
    ...options,
    brokerUrl: broker.url,
    config: { ...options.config, mqtt: { url: broker.url, protocol } },
  });
  return { broker, cloud: device.cloud, device };
};
