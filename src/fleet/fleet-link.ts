/** The fleet side's connection to the broker: many topics, no session, and never a device's client id. */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { MqttConfig } from '../config/config.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { type Fault, fault, LockkeeperError } from '../core/errors.ts';
import type { InboundMessage, LinkStatus, OutboundMessage } from '../daemon/ports.ts';
import { createLink } from '../link/link.ts';
import type { ProtocolMemory } from '../link/protocol-choice.ts';

/** Faults that waiting does not mend. */
const HOPELESS: ReadonlySet<string> = new Set([
  'BROKER_AUTH_REFUSED',
  'BROKER_TLS',
  'BROKER_CLOCK',
  'CLIENT_CERT_INVALID',
  'CONFIG_INVALID',
]);

export interface FleetLinkOptions {
  readonly tenant: string;
  readonly mqtt: MqttConfig;
  /** Must not be a device's id; random when left out. */
  readonly clientId?: string;
  readonly clock?: Clock;
  readonly log?: Pick<Logger, 'debug' | 'info' | 'warn'>;
}

export type MessageListener = (message: InboundMessage) => void;

export interface FleetLink {
  readonly tenant: string;
  /** Resolves when connected. Rejects with a `LockkeeperError` when refused, or when the time is over. */
  ready(deadlineMs: number): Promise<void>;
  status(): LinkStatus;
  /**
   * Listens on a filter (`+` and `#` allowed); stored messages come first. Resolves, when the broker has taken the
   * subscription, with a function that ends it. Rejects with a `LockkeeperError` when the broker refuses.
   */
  watch(filter: string, listener: MessageListener): Promise<() => void>;
  /** The same for many filters at once, which costs few round trips. */
  watchAll(filters: readonly string[], listener: MessageListener): Promise<() => void>;
  /** Resolves when the broker has it; rejects with a `LockkeeperError`. */
  publish(message: OutboundMessage): Promise<void>;
  /** The newest message of an exact topic, stored or live, or null when none comes within `waitMs`. */
  retained(topic: string, waitMs?: number): Promise<InboundMessage | null>;
  close(): Promise<void>;
}

/** `$share/GROUP/` before the filter that is shared. */
const SHARED = /^\$share\/[^/]+\//;

/** Whether a topic falls under a filter, shared or not. */
export const matchesFilter = (filter: string, topic: string): boolean => {
  const wanted = filter.replace(SHARED, '').split('/');
  const levels = topic.split('/');
  for (const [i, part] of wanted.entries()) {
    if (part === '#') return true;
    const level = levels[i];
    if (level === undefined || (part !== '+' && part !== level)) return false;
  }
  return wanted.length === levels.length;
};

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };

const RETAINED_WAIT_MS = 2000;

/** Connects at once and again for as long as it is not closed. Throws a `LockkeeperError` for a URL it cannot use. */
export const createFleetLink = (options: FleetLinkOptions): FleetLink => {
  const clock = options.clock ?? systemClock;
  const listeners = new Map<string, Set<MessageListener>>();
  const lookers = new Set<() => void>();
  const memory = new Map<string, ProtocolMemory>();

  const link = createLink({
    config: options.mqtt,
    clientId: options.clientId ?? `lk-operator-${randomBytes(6).toString('hex')}`,
    role: 'client',
    clock,
    log: options.log ?? silent,
    protoMemory: {
      get: (url) => memory.get(url) ?? null,
      set: (url, value) => memory.set(url, value),
    },
    handlers: {
      will: () => {
        throw new TypeError('a client has no will');
      },
      up: () => Promise.resolve(),
      message: (message) => {
        for (const [filter, set] of listeners) {
          if (matchesFilter(filter, message.topic)) for (const listener of [...set]) listener(message);
        }
        return Promise.resolve();
      },
      changed: () => {
        for (const look of [...lookers]) look();
      },
    },
  });
  const resubscribe = (): void => link.subscribe([...listeners.keys()]);
  link.start();

  const ready = (deadlineMs: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const finish = (why: Fault | null): void => {
        cancel();
        lookers.delete(look);
        if (why === null) resolve();
        else reject(new LockkeeperError(why));
      };
      const look = (): void => {
        const { state, lastError } = link.status();
        if (state === 'connected') finish(null);
        else if (lastError !== null && HOPELESS.has(lastError.code)) finish(lastError);
      };
      const cancel = clock.after(deadlineMs, () =>
        finish(link.status().lastError ?? fault('BROKER_NET', 'The broker does not answer in time.', true)),
      );
      lookers.add(look);
      look();
    });

  const add = (filter: string, listener: MessageListener): boolean => {
    const set = listeners.get(filter) ?? new Set();
    set.add(listener);
    listeners.set(filter, set);
    return set.size === 1;
  };
  const remove = (filters: readonly string[], listener: MessageListener): void => {
    let isLess = false;
    for (const filter of filters) {
      const set = listeners.get(filter);
      set?.delete(listener);
      if (set?.size === 0) isLess = listeners.delete(filter);
    }
    if (isLess) resubscribe();
  };

  const watchAll: FleetLink['watchAll'] = async (filters, listener) => {
    const stop = (): void => remove(filters, listener);
    const fresh = filters.filter((filter) => add(filter, listener));
    try {
      if (fresh.length > 0) resubscribe();
      // For a filter that is held already this brings its stored messages to the new listener; after new ones, asked for
      // in one go before, it waits until the broker has taken them.
      const held = filters.filter((filter) => !fresh.includes(filter));
      for (const filter of [...held, ...fresh.slice(-1)]) await link.refresh(filter);
      const { refusedFilters, problems } = link.status();
      const refused = filters.find((filter) => refusedFilters.includes(filter));
      if (refused !== undefined)
        throw new LockkeeperError(
          problems.find((p) => p.message.includes(refused)) ??
            fault('BROKER_FILTER_REFUSED', `The broker refuses ${refused}.`, false),
        );
      return stop;
    } catch (error) {
      stop();
      throw error;
    }
  };

  return {
    tenant: options.tenant,
    ready,
    status: link.status,
    watch: (filter, listener) => watchAll([filter], listener),
    watchAll,
    publish: (message) => link.publish(message),
    async retained(topic, waitMs = RETAINED_WAIT_MS) {
      let stop: () => void = () => undefined;
      let cancel: () => void = () => undefined;
      const found = new Promise<InboundMessage | null>((resolve, reject) => {
        cancel = clock.after(waitMs, () => resolve(null));
        watchAll([topic], resolve).then((end) => {
          stop = end;
        }, reject);
      });
      try {
        return await found;
      } finally {
        cancel();
        stop();
      }
    },
    close: () => link.stop(),
  };
};
