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
  /** From so many on, or half of the bytes, nothing more is read from the broker until half of that is handled. */
  readonly readAhead: number;
}

/**
 * The in-flight window should bound a flood, but not every broker keeps to it (Mosquitto 2.0.11 had 3,800 messages
 * under way at a Receive Maximum of 16): what is not read waits in the broker's own queue, where none of it is lost to
 * us. Beyond `messages`, which only a flood while messages are held back reaches, one stays unacknowledged and comes
 * again with the next connection.
 */
const DEVICE_BACKLOG: Backlog = { messages: 4096, bytes: 4 * 1024 * 1024, readAhead: 256 };
/** For an operator who watches a fleet: what is stored of every device comes at once, and never again if it is dropped. */
export const FLEET_BACKLOG: Backlog = {
  messages: 1_000_000,
  bytes: 512 * 1024 * 1024,
  readAhead: 1_000_000,
};

export interface Inbox {
  /** False when the backlog is full: the message is dropped without PUBACK. */
  push(delivery: Delivery): boolean;
  /**
   * What to wait for before more is read; null to go on. Never while messages are held back: what they wait for has to
   * be read from the broker itself.
   */
  room(): Promise<void> | null;
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
  let room: PromiseWithResolvers<void> | null = null;

  const waits = (): number => waiting.length - next;
  const isFilling = (): boolean => waits() >= most.readAhead || waitingBytes * 2 >= most.bytes;
  const hasRoom = (): boolean => waits() * 2 <= most.readAhead && waitingBytes * 4 <= most.bytes;
  const letRead = (): void => {
    room?.resolve();
    room = null;
  };

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
      if (hasRoom()) letRead();
      const { topic, payload, retain } = delivery;
      await handle({ topic, payload, retain });
      delivery.ack();
    }
    isRunning = false;
  };

  return {
    push(delivery) {
      const bytes = waitingBytes + delivery.payload.length;
      if (waits() >= most.messages || bytes > most.bytes) return false;
      waiting.push(delivery);
      waitingBytes = bytes;
      void run();
      return true;
    },
    room() {
      if (isHeld || !isFilling()) return null;
      room ??= Promise.withResolvers();
      return room.promise;
    },
    hold(held) {
      isHeld = held;
      if (held) letRead();
      else void run();
    },
    clear() {
      waiting = [];
      next = 0;
      waitingBytes = 0;
      letRead();
    },
  };
};
