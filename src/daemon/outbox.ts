/**
 * What waits for the broker: results all of them, events in a ring whose oldest are dropped and counted. State
 * (`reported`, `presence`) is not queued at all: the newest is sent when the link is back.
 */
import { LockkeeperError } from '../core/errors.ts';
import type { Link, OutboundMessage } from './ports.ts';

/** Most events that wait, and their bytes. */
export const MAX_EVENTS = 500;
export const MAX_EVENT_BYTES = 256 * 1024;

export interface Outbox {
  result(message: OutboundMessage): void;
  event(message: OutboundMessage): void;
  /** Sends what waits, results first, in order; stops at the first that the link does not take. Single flight. */
  flush(link: Pick<Link, 'publish'>): Promise<void>;
  waiting(): number;
  /** Messages dropped since start: events for want of room, others because the broker does not allow their topic. */
  dropped(): number;
}

const isDenied = (error: unknown): boolean =>
  error instanceof LockkeeperError && error.fault.code === 'BROKER_PUBLISH_DENIED';

export const createOutbox = (): Outbox => {
  const results: OutboundMessage[] = [];
  const events: OutboundMessage[] = [];
  let eventBytes = 0;
  let dropped = 0;
  let flushing: Promise<void> | undefined;

  const sizeOf = (message: OutboundMessage): number => message.payload.length + message.topic.length;

  const dropOldest = (): void => {
    while (events.length > MAX_EVENTS || eventBytes > MAX_EVENT_BYTES) {
      const oldest = events.shift();
      if (oldest === undefined) return;
      eventBytes -= sizeOf(oldest);
      dropped++;
    }
  };

  /** One at a time, and looked at anew each time: a result that comes meanwhile goes before the events that wait. */
  const sendNext = async (link: Pick<Link, 'publish'>): Promise<void> => {
    const queue = results.length > 0 ? results : events;
    const [head] = queue;
    if (head === undefined) return;
    try {
      await link.publish(head);
    } catch (error) {
      // The broker takes it never, and what stands behind it must not wait for that.
      if (!isDenied(error)) throw error;
      dropped++;
    }
    // The ring may have dropped it while it was on its way.
    if (queue[0] !== head) return;
    queue.shift();
    if (queue === events) eventBytes -= sizeOf(head);
  };

  const flushAll = async (link: Pick<Link, 'publish'>): Promise<void> => {
    try {
      while (results.length + events.length > 0) await sendNext(link);
    } catch {
      // The link went away: the rest waits for the next one.
    }
  };

  return {
    result: (message) => void results.push(message),
    event: (message) => {
      events.push(message);
      eventBytes += sizeOf(message);
      dropOldest();
    },
    flush: (link) => {
      flushing ??= flushAll(link).finally(() => {
        flushing = undefined;
      });
      return flushing;
    },
    waiting: () => results.length + events.length,
    dropped: () => dropped,
  };
};
