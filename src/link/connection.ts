/**
 * One connection to the broker, from dialling to its end, never reused. Wraps MQTT.js with everything of its own that
 * would hide trouble switched off: no reconnect, no resubscribe, no queue.
 */
import { type IClientOptions, type IPublishPacket, MqttClient } from 'mqtt';
import { writeToStream } from 'mqtt-packet';
import { fault, LockkeeperError } from '../core/errors.ts';
import type { OutboundMessage } from '../daemon/ports.ts';
import type { BrokerTarget } from './broker-url.ts';
import type { Credentials } from './credentials.ts';
import { deniedFault } from './denied-topics.ts';
import { errorCode, type Loss, reasonText } from './link-errors.ts';
import { openStream } from './open-stream.ts';
import { MAX_PAYLOAD_BYTES } from './packet-guard.ts';
import type { ProtocolVersion } from './protocol-choice.ts';

const CONNECT_TIMEOUT_MS = 15_000;
const SESSION_EXPIRY_S = 3600;
const WILL_DELAY_S = 30;
const RECEIVE_MAXIMUM = 16;
/** A broker that owes an answer this long will not give it, and may still answer pings: the connection is of no use. */
const ANSWER_MS = 30_000;
const FLUSH_MS = 2000;
const NOT_AUTHORISED = 0x87;

// The packet writer would make a buffer for each of the 65,536 two-byte numbers and keep them all: 8 MB for a few
// packets a minute.
writeToStream.cacheNumbers = false;

/** DISCONNECT with nothing to say: the same two bytes in both versions. */
const DISCONNECT = Buffer.from([0xe0, 0x00]);

export interface ConnectionOptions {
  readonly target: BrokerTarget;
  readonly credentials: Credentials;
  readonly username: string;
  readonly clientId: string;
  readonly protocol: ProtocolVersion;
  readonly keepAliveS: number;
  /** Null for a client whose absence nobody needs to know. */
  readonly will: OutboundMessage | null;
  /** `resume` goes on with the broker's session, `fresh` throws an old one away first, `none` also leaves none behind. */
  readonly session: 'resume' | 'fresh' | 'none';
}

/** A PUBLISH from the broker. */
export interface Delivery {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
  /** Sends PUBACK; does nothing for QoS 0. */
  ack(): void;
}

export interface ConnectionEvents {
  /** The transport stands: from now on the broker may have seen CONNECT, the will included. */
  open(): void;
  connack(info: { readonly sessionPresent: boolean }): void;
  /** Resolves when more may be read from the broker; null for at once. */
  delivery(delivery: Delivery): Promise<void> | null;
  /** The connection is over; called once, nothing follows. */
  closed(loss: Pick<Loss, 'stage' | 'error' | 'disconnectCode'>): void;
}

/** Answer to one SUBSCRIBE: a code per filter, or null when the connection ended instead. */
export type SubscribeAnswer = readonly number[] | null;

export interface Connection {
  subscribe(filters: readonly string[]): Promise<SubscribeAnswer>;
  unsubscribe(filters: readonly string[]): void;
  /** Resolves on PUBACK (QoS 1) or when written (QoS 0); rejects with a `LockkeeperError`. */
  publish(message: OutboundMessage): Promise<void>;
  /** Says goodbye, so that no will is sent; resolves when the connection is over. */
  end(): Promise<void>;
  /** Cuts the connection; the will is sent. */
  destroy(): void;
}

/**
 * A client without a session gains nothing by QoS 1: what it does not take is lost with the connection. But brokers queue
 * stored QoS 1 messages (Mosquitto: 1,000, then the rest of a fleet is dropped); at QoS 0 they are written at once.
 */
const isFleetWide = (filter: string, session: ConnectionOptions['session']): boolean =>
  session === 'none' && filter.includes('/d/+/');

const subscription = (filter: string, session: ConnectionOptions['session']) => ({
  qos: isFleetWide(filter, session) ? (0 as const) : (1 as const),
  nl: false,
  // Stored commands are never wanted; the stored document always is, so that a lost update is made good.
  rh: filter.includes('/cmd/') ? 2 : 0,
  rap: filter.includes('/cmd/'),
});

const clientOptions = (o: ConnectionOptions): IClientOptions => ({
  protocolId: 'MQTT',
  protocolVersion: o.protocol,
  clientId: o.clientId,
  clean: o.session !== 'resume',
  keepalive: o.keepAliveS,
  reschedulePings: true,
  resubscribe: false,
  queueQoSZero: false,
  reconnectPeriod: 0,
  connectTimeout: CONNECT_TIMEOUT_MS,
  manualConnect: true,
  ...(o.username === '' ? {} : { username: o.username }),
  ...(o.credentials.password === null ? {} : { password: o.credentials.password }),
  ...(o.protocol === 5
    ? {
        autoAssignTopicAlias: true,
        properties: {
          ...(o.session === 'none' ? {} : { sessionExpiryInterval: SESSION_EXPIRY_S }),
          receiveMaximum: RECEIVE_MAXIMUM,
          maximumPacketSize: MAX_PAYLOAD_BYTES,
          topicAliasMaximum: 0,
        },
      }
    : {}),
  ...(o.will === null
    ? {}
    : {
        will: {
          topic: o.will.topic,
          payload: Buffer.from(o.will.payload),
          qos: o.will.qos,
          retain: o.will.retain ?? false,
          ...(o.protocol === 5 ? { properties: { willDelayInterval: WILL_DELAY_S } } : {}),
        },
      }),
});

const down = (): LockkeeperError =>
  new LockkeeperError(fault('BROKER_NET', 'There is no connection to the broker.', true));

const publishFault = (error: unknown, topic: string): LockkeeperError => {
  const code = errorCode(error);
  if (typeof code !== 'number') return down();
  if (code === NOT_AUTHORISED) return new LockkeeperError(deniedFault(topic, 'answer'));
  return new LockkeeperError(
    fault('BROKER_REFUSED', `The broker did not take a message on ${topic}: ${reasonText(code)}.`, true),
  );
};

/** Starts to connect; what becomes of it arrives through `events`. */
export const openConnection = (options: ConnectionOptions, events: ConnectionEvents): Connection => {
  let stage: Loss['stage'] = 'dialling';
  let firstError: unknown = null;
  let disconnectCode: number | null = null;
  let isOver = false;
  /** Rejects or ends everything that waits for an answer of this connection. */
  const waiting = new Set<() => void>();

  const client = new MqttClient(
    () =>
      openStream(options.target, options.credentials, () => {
        if (isOver || stage !== 'dialling') return;
        stage = 'handshake';
        events.open();
      }),
    clientOptions(options),
  );

  client.on('error', (error) => {
    firstError ??= error;
  });
  client.on('connect', (packet) => {
    stage = 'up';
    events.connack({ sessionPresent: packet.sessionPresent });
  });
  client.on('disconnect', (packet) => {
    disconnectCode = packet.reasonCode ?? null;
    client.stream.destroy();
  });
  client.on('close', () => {
    if (isOver) return;
    isOver = true;
    for (const give of [...waiting]) give();
    events.closed({ stage, error: firstError, disconnectCode });
  });

  // MQTT.js handles one packet after the other: waiting here for the handler would also hold back the PUBACKs that the
  // handler itself may wait for. So the reader is let go without waiting for this message (with an error, which only
  // means "no PUBACK yet"), and PUBACK is written when the work is done.
  client.handleMessage = (packet: IPublishPacket, next) => {
    const { qos, messageId } = packet;
    const isAcked = qos === 1 && messageId !== undefined;
    const readOn = (): void => next(isAcked ? new Error('acknowledged later') : undefined);
    const room = events.delivery({
      topic: packet.topic.toString(),
      payload: typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload,
      retain: packet.retain,
      ack: () => {
        if (isAcked && !isOver && client.connected)
          client.stream.write(Buffer.from([0x40, 0x02, messageId >> 8, messageId & 0xff]));
      },
    });
    if (room === null) readOn();
    else void room.then(readOn);
  };

  /** Runs `ask`, which calls back once; gives `otherwise` when the connection ends, as it does when the answer stays away. */
  const answer = <T>(otherwise: () => T, ask: (done: (value: T) => void) => void): Promise<T> =>
    new Promise((resolve) => {
      if (isOver || stage !== 'up') {
        resolve(otherwise());
        return;
      }
      const finish = (value: T): void => {
        clearTimeout(timer);
        waiting.delete(giveUp);
        resolve(value);
      };
      const giveUp = (): void => finish(otherwise());
      const timer = setTimeout(() => client.stream.destroy(), ANSWER_MS);
      waiting.add(giveUp);
      ask(finish);
    });

  client.connect();

  return {
    subscribe: (filters) =>
      answer<SubscribeAnswer>(
        () => null,
        (done) => {
          const map = Object.fromEntries(filters.map((f) => [f, subscription(f, options.session)]));
          client.subscribe(map, (_error, _granted, packet) => {
            // Without SUBACK the answer is the close that follows.
            if (packet !== undefined) done(packet.granted.map(Number));
          });
        },
      ),
    unsubscribe: (filters) => {
      if (!isOver && stage === 'up' && filters.length > 0) client.unsubscribe([...filters], () => undefined);
    },
    publish: async (message) => {
      const failure = await answer<LockkeeperError | null>(down, (done) => {
        const properties = {
          contentType: message.payload.startsWith('{') ? 'application/json' : 'application/jose',
          ...(message.expiryS === undefined ? {} : { messageExpiryInterval: message.expiryS }),
          ...(message.correlation === undefined ? {} : { correlationData: Buffer.from(message.correlation) }),
        };
        const retain = message.retain ?? false;
        client.publish(message.topic, message.payload, { qos: message.qos, retain, properties }, (error) =>
          done(error === undefined || error === null ? null : publishFault(error, message.topic)),
        );
      });
      if (failure !== null) throw failure;
    },
    end: () =>
      new Promise((resolve) => {
        if (isOver) {
          resolve();
          return;
        }
        client.once('close', () => resolve());
        const timer = setTimeout(() => client.stream.destroy(), FLUSH_MS);
        client.once('close', () => clearTimeout(timer));
        if (stage !== 'up') client.stream.destroy();
        else client.stream.end(DISCONNECT);
      }),
    destroy: () => {
      if (!isOver) client.stream.destroy();
    },
  };
};
