import { onTestFinished } from 'vitest';
import type { MqttConfig } from '../../src/config/config.ts';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import type { InboundMessage, Link, LinkHandlers, LinkStatus } from '../../src/daemon/ports.ts';
import { createLink, type LinkOptions } from '../../src/link/link.ts';
import type { ProtocolMemory } from '../../src/link/protocol-choice.ts';

export interface LinkWorld {
  readonly link: Link;
  /** Messages in the order in which the handler got them. */
  readonly messages: InboundMessage[];
  /** Every `up`, in order. */
  readonly ups: Parameters<LinkHandlers['up']>[0][];
  readonly changes: LinkStatus[];
  readonly memory: Map<string, ProtocolMemory>;
  /** Texts of all messages on a topic. */
  texts(topic: string): string[];
}

export const mqttConfig = (over: Partial<MqttConfig> & Pick<MqttConfig, 'url'>): MqttConfig => ({
  username: '',
  passwordFile: '',
  caFile: '',
  certFile: '',
  keyFile: '',
  alpn: '',
  protocol: 'auto',
  keepAliveS: 120,
  ...over,
});

/** A clock that runs faster, so that minutes of back-off pass in a test's time. */
export const fastClock = (factor: number): Clock => ({
  now: () => systemClock.now() * factor,
  wall: () => systemClock.wall(),
  random: () => systemClock.random(),
  after: (ms, fn) => systemClock.after(ms / factor, fn),
});

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };

/** A started link with handlers that record; it is stopped when the test ends. */
export const startLink = (
  config: Partial<MqttConfig> & Pick<MqttConfig, 'url'>,
  options: Partial<Pick<LinkOptions, 'clientId' | 'clock' | 'spreadS' | 'role'>> & {
    readonly filters?: readonly string[];
    readonly handlers?: Partial<LinkHandlers>;
    readonly memory?: Map<string, ProtocolMemory>;
  } = {},
): LinkWorld => {
  const messages: InboundMessage[] = [];
  const ups: LinkWorld['ups'] = [];
  const changes: LinkStatus[] = [];
  const memory = options.memory ?? new Map<string, ProtocolMemory>();
  const clientId = options.clientId ?? 'press-7';
  const link = createLink({
    config: mqttConfig(config),
    clientId,
    clock: options.clock ?? systemClock,
    log: silent,
    ...(options.spreadS === undefined ? {} : { spreadS: options.spreadS }),
    ...(options.role === undefined ? {} : { role: options.role }),
    protoMemory: {
      get: (url) => memory.get(url) ?? null,
      set: (url, value) => memory.set(url, value),
    },
    handlers: {
      will: (n) => ({ topic: `lk1/acme/d/${clientId}/presence`, payload: `lost ${n}`, qos: 1, retain: true }),
      up: async (info) => {
        ups.push(info);
      },
      message: async (message) => {
        messages.push(message);
      },
      changed: (status) => changes.push(status),
      ...options.handlers,
    },
  });
  link.subscribe(options.filters ?? [`lk1/acme/d/${clientId}/desired`, `lk1/acme/d/${clientId}/cmd/+`]);
  link.start();
  onTestFinished(() => link.stop());
  return {
    link,
    messages,
    ups,
    changes,
    memory,
    texts: (topic) =>
      messages.filter((m) => m.topic === topic).map((m) => Buffer.from(m.payload).toString('utf8')),
  };
};
