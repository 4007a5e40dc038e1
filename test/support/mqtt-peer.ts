import { connectAsync, type IClientOptions } from 'mqtt';
import { onTestFinished } from 'vitest';

export interface MqttPeer {
  readonly messages: { readonly topic: string; readonly text: string; readonly retain: boolean }[];
  publish(topic: string, payload: string | Buffer, options?: { readonly retain?: boolean }): Promise<void>;
  /** Resolves when the connection is over, whoever ended it. */
  readonly closed: Promise<void>;
  end(): Promise<void>;
}

/** A client of the test's own at a broker: it publishes at QoS 1 and records what it hears. */
export const mqttPeer = async (
  url: string,
  options: IClientOptions & { readonly subscribe?: string | readonly string[] } = {},
): Promise<MqttPeer> => {
  const { subscribe, ...rest } = options;
  const client = await connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0, ...rest }, false);
  const messages: { topic: string; text: string; retain: boolean }[] = [];
  client.on('message', (topic, payload, packet) =>
    messages.push({ topic, text: payload.toString('utf8'), retain: packet.retain }),
  );
  client.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    client.once('close', () => resolve());
  });
  if (subscribe !== undefined) await client.subscribeAsync([subscribe].flat(), { qos: 1 });
  const end = async (): Promise<void> => {
    if (client.connected) await client.endAsync(true);
  };
  onTestFinished(end);
  return {
    messages,
    publish: async (topic, payload, { retain = false } = {}) => {
      await client.publishAsync(topic, payload, { qos: 1, retain });
    },
    closed,
    end,
  };
};
