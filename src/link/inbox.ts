/**
 * Hands messages to the daemon one at a time, in order, and acknowledges each when its work is done.
 *
 * One inbox serves all connections of a link, so that a message redelivered after a reconnect never runs beside the
 * handler that still works on its first copy.
 */
import type { InboundMessage } from '../daemon/ports.ts';
import type { Delivery } from './connection.ts';

/** How much may wait to be handled. */
export interface Backlog {
  readonly messages: number;
  readonly bytes: number;
}

/** More than a broker with a sane in-flight window sends; a flood beyond stays unacknowledged and comes again later. */
const DEVICE_BACKLOG: Backlog = { messages: 256, bytes: 4 * 1024 * 1024 };
/** For an operator who watches a fleet: what is stored of every device comes at once, and never again if it is dropped. */
export const FLEET_BACKLOG: Backlog = { messages: 1_000_000, bytes: 512 * 1024 * 1024 };

export interface Inbox {
  /** False when the backlog is full: the message is dropped without PUBACK. */
  push(delivery: Delivery): boolean;
  /** Holds messages back (true), or lets them go. Starts held. */
  hold(isHeld: boolean): void;
  /** Forgets what waits: the broker sends it again on the next connection. */
  clear(): void;
}

/** @param handle must not reject; PUBACK follows its promise */
export const createInbox = (
  handle: (message: InboundMessage) => Promise<void>,
  most: Backlog = DEVICE_BACKLOG,
): Inbox => {
  let waiting: Delivery[] = [];
  /** Index of the first that waits: taking from the front of a long list costs its length. */
  let next = 0;
  let waitingBytes = 0;
  let isHeld = true;
  let isRunning = false;

  const run = async (): Promise<void> => {
    if (isRunning) return;
    isRunning = true;
    while (!isHeld) {
      const delivery = waiting[next];
      if (delivery === undefined) {
        waiting = [];
        next = 0;
        break;
      }
      next += 1;
      if (next * 2 > waiting.length && next > 1000) {
        waiting = waiting.slice(next);
        next = 0;
      }
      waitingBytes -= delivery.payload.length;
      const { topic, payload, retain } = delivery;
      await handle({ topic, payload, retain });
      delivery.ack();
    }
    isRunning = false;
  };

  return {
    push(delivery) {
      const bytes = waitingBytes + delivery.payload.length;
      if (waiting.length - next >= most.messages || bytes > most.bytes) return false;
      waiting.push(delivery);
      waitingBytes = bytes;
      void run();
      return true;
    },
    hold(held) {
      isHeld = held;
      if (!held) void run();
    },
    clear() {
      waiting = [];
      next = 0;
      waitingBytes = 0;
    },
  };
};
