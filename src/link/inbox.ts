/**
 * Hands messages to the daemon one at a time, in order, and acknowledges each when its work is done.
 *
 * One inbox serves all connections of a link, so that a message redelivered after a reconnect never runs beside the
 * handler that still works on its first copy.
 */
import type { InboundMessage } from '../daemon/ports.ts';
import type { Delivery } from './connection.ts';

/** More than a broker with a sane in-flight window sends; a flood beyond stays unacknowledged and comes again later. */
const MOST_WAITING = 256;
const MOST_WAITING_BYTES = 4 * 1024 * 1024;

export interface Inbox {
  /** False when the backlog is full: the message is dropped without PUBACK. */
  push(delivery: Delivery): boolean;
  /** Holds messages back (true), or lets them go. Starts held. */
  hold(isHeld: boolean): void;
  /** Forgets what waits: the broker sends it again on the next connection. */
  clear(): void;
}

/** @param handle must not reject; PUBACK follows its promise */
export const createInbox = (handle: (message: InboundMessage) => Promise<void>): Inbox => {
  let waiting: Delivery[] = [];
  let waitingBytes = 0;
  let isHeld = true;
  let isRunning = false;

  const run = async (): Promise<void> => {
    if (isRunning) return;
    isRunning = true;
    while (!isHeld) {
      const next = waiting.shift();
      if (next === undefined) break;
      waitingBytes -= next.payload.length;
      const { topic, payload, retain } = next;
      await handle({ topic, payload, retain });
      next.ack();
    }
    isRunning = false;
  };

  return {
    push(delivery) {
      const bytes = waitingBytes + delivery.payload.length;
      if (waiting.length >= MOST_WAITING || bytes > MOST_WAITING_BYTES) return false;
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
      waitingBytes = 0;
    },
  };
};
