/**
 * What waits for the broker: results all of them, events in a ring whose oldest are dropped and counted. State
 * (`reported`, `presence`) is not queued at all: the newest is sent when the link is back. What waits longer than a
 * moment is on disk too, so that a restart or a power cut meanwhile loses none of it; while the link stands nothing is
 * written.
 */
import type { Clock } from '../core/clock.ts';
import { LockkeeperError } from '../core/errors.ts';
import type { Link, OutboundMessage, OutboxFile } from './ports.ts';

/** Most events that wait, and their bytes. */
export const MAX_EVENTS = 500;
export const MAX_EVENT_BYTES = 256 * 1024;
/** What is sent within this time never reaches the disk. */
const SAVE_AFTER_MS = 5000;
/** The file is written anew, with what waits now, once it holds so many bytes. */
const MAX_FILE_BYTES = 2 * MAX_EVENT_BYTES;

export interface Outbox {
  result(message: OutboundMessage): void;
  event(message: OutboundMessage): void;
  /** An event was given up before it came here. */
  drop(): void;
  /** Sends what waits, results first, in order; stops at the first that the link does not take. Single flight. */
  flush(link: Pick<Link, 'publish'>): Promise<void>;
  /** Writes what still waits to disk, before the end. */
  settle(): Promise<void>;
  waiting(): number;
  /** Messages dropped since start: events for want of room, others because the broker does not allow their topic. */
  dropped(): number;
}

export interface OutboxOptions {
  readonly clock: Clock;
  /** Null: in memory only. */
  readonly file: OutboxFile | null;
}

const isDenied = (error: unknown): boolean =>
  error instanceof LockkeeperError && error.fault.code === 'BROKER_PUBLISH_DENIED';

const sizeOf = (message: OutboundMessage): number => message.payload.length + message.topic.length;

/** `lk1/{tenant}/d/{device}/res/{id}`. */
const isResult = ({ topic }: OutboundMessage): boolean => topic.split('/')[4] === 'res';

/** Keeps the file in step with the queue, late and with few bytes. Never in the way of sending. */
const createSaver = (
  { clock, file }: OutboxOptions,
  all: () => readonly OutboundMessage[],
): { added(message: OutboundMessage): void; emptied(): void; settle(): Promise<void> } => {
  let fresh: OutboundMessage[] = [];
  let fileBytes = file?.bytes ?? 0;
  let cancel: (() => void) | undefined;
  let writing: Promise<void> = Promise.resolve();

  const write = (): void => {
    cancel = undefined;
    if (file === null) return;
    writing = writing.then(async () => {
      const waiting = all();
      const lines = fresh.filter((message) => waiting.includes(message));
      fresh = [];
      try {
        if (waiting.length === 0) {
          if (fileBytes > 0) fileBytes = await file.replace([]);
        } else if (fileBytes > MAX_FILE_BYTES) fileBytes = await file.replace(waiting);
        else if (lines.length > 0) fileBytes += await file.append(lines);
      } catch {
        // No room or no leave: memory has it still.
      }
    });
  };
  const soon = (): void => {
    if (file !== null) cancel ??= clock.after(SAVE_AFTER_MS, write);
  };

  return {
    added: (message) => {
      if (file === null) return;
      fresh.push(message);
      soon();
    },
    emptied: () => {
      fresh = [];
      if (fileBytes > 0) soon();
      else {
        cancel?.();
        cancel = undefined;
      }
    },
    settle: async () => {
      cancel?.();
      write();
      await writing;
    },
  };
};

/** `found` in the file goes first: it waited longest. */
export const createOutbox = (options: OutboxOptions): Outbox => {
  const found = options.file?.found ?? [];
  const results: OutboundMessage[] = found.filter(isResult);
  const events: OutboundMessage[] = found.filter((message) => !isResult(message));
  let eventBytes = events.reduce((sum, message) => sum + sizeOf(message), 0);
  let dropped = 0;
  let flushing: Promise<void> | undefined;
  const saver = createSaver(options, () => [...results, ...events]);

  const dropOldest = (): void => {
    while (events.length > MAX_EVENTS || eventBytes > MAX_EVENT_BYTES) {
      const oldest = events.shift();
      if (oldest === undefined) return;
      eventBytes -= sizeOf(oldest);
      dropped++;
    }
  };
  dropOldest();

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
      saver.emptied();
    } catch {
      // The link went away: the rest waits for the next one.
    }
  };

  return {
    result: (message) => {
      results.push(message);
      saver.added(message);
    },
    event: (message) => {
      events.push(message);
      eventBytes += sizeOf(message);
      dropOldest();
      saver.added(message);
    },
    drop: () => {
      dropped++;
    },
    flush: (link) => {
      flushing ??= flushAll(link).finally(() => {
        flushing = undefined;
      });
      return flushing;
    },
    settle: saver.settle,
    waiting: () => results.length + events.length,
    dropped: () => dropped,
  };
};
