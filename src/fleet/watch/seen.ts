/** What is known of a device from its messages, and how each message changes it. Pure. */
import type { InboundMessage } from '../../daemon/ports.ts';
import type { EventMessage } from '../../protocol/event-schema.ts';
import type { HelloMessage, PresenceMessage } from '../../protocol/presence-schema.ts';
import type { ReportedMessage } from '../../protocol/reported-schema.ts';
import { readStrictJson } from '../../protocol/strict-json.ts';
import { formatTopic, parseTopic } from '../../protocol/topics.ts';
import {
  type Checked,
  checkEvent,
  checkHealth,
  checkHello,
  checkPresence,
  checkReported,
} from '../../protocol/validate.ts';

/** What one health message leaves behind: the whole fleet's would be too much to keep. */
export interface HealthSeen {
  readonly boot: string;
  readonly n: number;
  /** The device's own time, epoch seconds. */
  readonly ts: number;
  /** When it came, epoch milliseconds of the reader. */
  readonly atMs: number;
  /** Heartbeat latency to the edge, milliseconds. */
  readonly latencyMs: number | null;
}

/** One device as far as the reader has seen it. */
export interface DeviceSeen {
  readonly presence?: PresenceMessage;
  /** When `presence` came to be what it is, epoch milliseconds; null when it was stored at the broker before. */
  readonly presenceAtMs: number | null;
  readonly hello?: HelloMessage;
  readonly reported?: ReportedMessage;
  readonly health?: HealthSeen;
  /** Seconds between two health messages, learned from the device; null before two came in a row. */
  readonly healthS: number | null;
  readonly lastEvent?: EventMessage;
  /** The newest message that was no stored one, epoch milliseconds. */
  readonly heardMs: number | null;
}

/** Nothing is known yet. */
export const UNSEEN: DeviceSeen = { presenceAtMs: null, healthS: null, heardMs: null };

/** The stored topics; a snapshot is whole when a device showed all of them. */
export const STORED_LEAVES = ['presence', 'hello', 'reported'] as const;

/** The filters that show a whole tenant: stored ones first, so that they stand when the others come. */
export const fleetFilters = (tenant: string): readonly string[] => [
  ...STORED_LEAVES.map((kind) => formatTopic({ kind, tenant, device: '+' })),
  formatTopic({ kind: 'health', tenant, device: '+' }),
  `lk1/${tenant}/d/+/event/+`,
];

const read = <T>(payload: Uint8Array, check: (value: unknown) => Checked<T>): T | undefined => {
  const json = readStrictJson(payload);
  const checked = json.ok ? check(json.value) : null;
  return checked?.ok === true ? checked.value : undefined;
};

/** A will of a connection that a later birth of the same start has replaced. */
const isStaleWill = (held: PresenceMessage | undefined, next: PresenceMessage): boolean =>
  held?.online === true && !next.online && next.boot === held.boot && next.n < held.n;

const withPresence = (
  seen: DeviceSeen,
  presence: PresenceMessage,
  isStored: boolean,
  atMs: number,
): DeviceSeen => {
  if (isStaleWill(seen.presence, presence)) return seen;
  const isSame = seen.presence?.online === presence.online && seen.presence.boot === presence.boot;
  return { ...seen, presence, presenceAtMs: isSame ? seen.presenceAtMs : isStored ? null : atMs };
};

const intervalBetween = (before: HealthSeen | undefined, next: HealthSeen): number | null =>
  before !== undefined && before.boot === next.boot && next.n === before.n + 1 && next.ts > before.ts
    ? next.ts - before.ts
    : null;

const withHealth = (seen: DeviceSeen, payload: Uint8Array, atMs: number): DeviceSeen => {
  const message = read(payload, checkHealth);
  if (message === undefined) return seen;
  const { boot, n, ts, lat } = message;
  const health = { boot, n, ts, atMs, latencyMs: lat ?? null };
  return { ...seen, health, healthS: intervalBetween(seen.health, health) ?? seen.healthS };
};

const withKind = (
  seen: DeviceSeen,
  kind: string,
  { payload, retain }: InboundMessage,
  atMs: number,
): DeviceSeen => {
  switch (kind) {
    case 'presence': {
      const presence = read(payload, checkPresence);
      return presence === undefined ? seen : withPresence(seen, presence, retain, atMs);
    }
    case 'hello': {
      const hello = read(payload, checkHello);
      return hello === undefined ? seen : { ...seen, hello };
    }
    case 'reported': {
      const reported = read(payload, checkReported);
      return reported === undefined ? seen : { ...seen, reported };
    }
    case 'health':
      return withHealth(seen, payload, atMs);
    case 'event': {
      const lastEvent = read(payload, checkEvent);
      return lastEvent === undefined ? seen : { ...seen, lastEvent };
    }
    default:
      return seen;
  }
};

/** A stored topic that was cleared: the device was retired, or its record wiped. */
const withoutLeaf = (seen: DeviceSeen, kind: string): DeviceSeen => {
  if (!STORED_LEAVES.some((leaf) => leaf === kind)) return seen;
  const { [kind as (typeof STORED_LEAVES)[number]]: _gone, ...rest } = seen;
  return rest;
};

/**
 * Takes one message in. Null for a topic that is no device's, or one that says nothing new; what cannot be read is
 * passed over, so that one bad device never hides the others.
 */
export const foldMessage = (
  before: (device: string) => DeviceSeen | undefined,
  message: InboundMessage,
  atMs: number,
): { readonly device: string; readonly seen: DeviceSeen } | null => {
  const topic = parseTopic(message.topic);
  if (topic === undefined || !('device' in topic)) return null;
  const held = before(topic.device) ?? UNSEEN;
  const seen =
    message.payload.length === 0 ? withoutLeaf(held, topic.kind) : withKind(held, topic.kind, message, atMs);
  if (seen === held) return null;
  const isAlive = !message.retain && topic.kind !== 'presence' && message.payload.length > 0;
  return { device: topic.device, seen: isAlive ? { ...seen, heardMs: atMs } : seen };
};

/** The stored topics that a device has not shown. */
export const missingLeaves = (seen: DeviceSeen | undefined): readonly (typeof STORED_LEAVES)[number][] =>
  STORED_LEAVES.filter((leaf) => seen?.[leaf] === undefined);
