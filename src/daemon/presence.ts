/** `presence`: birth, will and goodbye of one MQTT connection, and the mending of an old will that came late. */
import type { Clock } from '../core/clock.ts';
import {
  birthMessage,
  DELIVERY,
  goodbyeMessage,
  isStalePresence,
  willMessage,
} from '../protocol/messages.ts';
import { checkPresence } from '../protocol/validate.ts';
import type { OutboundMessage } from './ports.ts';

/** A late will is mended by a second birth, where the broker does not let the device read its own presence. */
const SECOND_BIRTH_MS = 50_000;

export interface PresenceOptions {
  readonly clock: Clock;
  readonly topic: string;
  readonly boot: string;
  nowS(): number;
  isUp(): boolean;
  send(message: OutboundMessage): Promise<boolean>;
}

export interface Presence {
  will(connect: number): OutboundMessage;
  /** The birth of this connection; its second one is set. */
  birth(connect: number): Promise<void>;
  goodbye(why: 'shutdown' | 'restart'): Promise<void>;
  /** What stands on the own topic. */
  seen(payload: Uint8Array): void;
  stop(): void;
}

export const createPresence = (options: PresenceOptions): Presence => {
  const { clock, topic, boot } = options;
  let connect = 0;
  let cancel: (() => void) | undefined;

  const message = (body: object): OutboundMessage => ({
    topic,
    payload: JSON.stringify(body),
    ...DELIVERY.presence,
  });
  const sendBirth = (): Promise<boolean> =>
    options.send(message(birthMessage(boot, connect, options.nowS())));

  return {
    will: (n) => message(willMessage(boot, n)),
    birth: async (n) => {
      connect = n;
      await sendBirth();
      cancel?.();
      cancel = clock.after(SECOND_BIRTH_MS, () => {
        if (options.isUp()) void sendBirth();
      });
    },
    goodbye: async (why) => {
      await options.send(message(goodbyeMessage(boot, connect, options.nowS(), why)));
    },
    seen: (payload) => {
      let value: unknown;
      try {
        value = JSON.parse(Buffer.from(payload).toString('utf8'));
      } catch {
        return;
      }
      const seen = checkPresence(value);
      if (seen.ok && isStalePresence(seen.value, boot, connect)) void sendBirth();
    },
    stop: () => cancel?.(),
  };
};
