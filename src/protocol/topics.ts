/** The topic tree of `lk1`: every topic as a value, built and parsed in one place. */
import { isDeviceId, isName, isUlid } from './names.ts';

/** Classes of `event/{class}`: the part of an event's `type` before the dot, with `store.*` under `agent`. */
export const EVENT_CLASSES = [
  'endpoint',
  'session',
  'cred',
  'conn',
  'security',
  'agent',
  'condition',
  'command',
] as const;
export type EventClass = (typeof EVENT_CLASSES)[number];

/** Topics below `lk1/{tenant}/d/{device}/` that have no further level. */
export const DEVICE_LEAVES = ['desired', 'reported', 'health', 'presence', 'hello'] as const;
export type DeviceLeaf = (typeof DEVICE_LEAVES)[number];

/** Whom a command is for: one device, or every device of a group. `to` in a command's body says the same. */
export type Audience =
  | { readonly kind: 'device'; readonly device: string }
  | { readonly kind: 'group'; readonly group: string };

/** One topic of the tree, taken apart. */
export type Topic =
  | { readonly kind: DeviceLeaf; readonly tenant: string; readonly device: string }
  | { readonly kind: 'command'; readonly tenant: string; readonly audience: Audience; readonly op: string }
  | { readonly kind: 'result'; readonly tenant: string; readonly device: string; readonly id: string }
  | {
      readonly kind: 'event';
      readonly tenant: string;
      readonly device: string;
      readonly class: EventClass;
    }
  | { readonly kind: 'reply'; readonly tenant: string; readonly client: string; readonly rest: string };

const VERSION = 'lk1';
/** Longest topic that is looked at; the tree's own longest is below 150 characters but for reply topics. */
const MAX_TOPIC_LENGTH = 256;
const SEGMENT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const OP = /^[a-z][a-z0-9-]{0,15}$/;

/** True for a tenant or client segment: ASCII letters, digits, dot, hyphen, underscore; at most 64. */
export const isTopicSegment = (text: string): boolean => SEGMENT.test(text);

const isLeaf = (text: string | undefined): text is DeviceLeaf =>
  (DEVICE_LEAVES as readonly (string | undefined)[]).includes(text);
const isEventClass = (text: string): text is EventClass =>
  (EVENT_CLASSES as readonly string[]).includes(text);

const never = (value: never): never => {
  throw new TypeError(`not a topic: ${JSON.stringify(value)}`);
};

/** The topic's text. The parts are taken as they are; `parseTopic` is the check. */
export const formatTopic = (topic: Topic): string => {
  const base = `${VERSION}/${topic.tenant}`;
  switch (topic.kind) {
    case 'desired':
    case 'reported':
    case 'health':
    case 'presence':
    case 'hello':
      return `${base}/d/${topic.device}/${topic.kind}`;
    case 'command':
      return topic.audience.kind === 'device'
        ? `${base}/d/${topic.audience.device}/cmd/${topic.op}`
        : `${base}/g/${topic.audience.group}/cmd/${topic.op}`;
    case 'result':
      return `${base}/d/${topic.device}/res/${topic.id}`;
    case 'event':
      return `${base}/d/${topic.device}/event/${topic.class}`;
    case 'reply':
      return `${base}/c/${topic.client}/r/${topic.rest}`;
    default:
      return never(topic);
  }
};

const parseDevice = (
  tenant: string,
  device: string,
  [head, tail, more]: readonly string[],
): Topic | undefined => {
  if (!isDeviceId(device) || more !== undefined) return undefined;
  if (tail === undefined) return isLeaf(head) ? { kind: head, tenant, device } : undefined;
  if (head === 'cmd' && OP.test(tail)) {
    return { kind: 'command', tenant, audience: { kind: 'device', device }, op: tail };
  }
  if (head === 'res' && isUlid(tail)) return { kind: 'result', tenant, device, id: tail };
  if (head === 'event' && isEventClass(tail)) return { kind: 'event', tenant, device, class: tail };
  return undefined;
};

/** Takes a topic apart; undefined when it is not exactly one of the tree. Filters with wildcards are not topics. */
export const parseTopic = (text: string): Topic | undefined => {
  if (text.length > MAX_TOPIC_LENGTH) return undefined;
  const [version, tenant, branch, owner, ...tail] = text.split('/');
  if (version !== VERSION || tenant === undefined || owner === undefined) return undefined;
  if (!isTopicSegment(tenant)) return undefined;
  if (branch === 'd') return parseDevice(tenant, owner, tail);
  if (branch === 'g') {
    const [head, op, more] = tail;
    const isCommand = head === 'cmd' && op !== undefined && OP.test(op) && more === undefined;
    return isCommand && isName(owner)
      ? { kind: 'command', tenant, audience: { kind: 'group', group: owner }, op }
      : undefined;
  }
  if (branch === 'c' && isTopicSegment(owner)) {
    const [head, ...rest] = tail;
    return head === 'r' && rest.length > 0 && rest.every(isTopicSegment)
      ? { kind: 'reply', tenant, client: owner, rest: rest.join('/') }
      : undefined;
  }
  return undefined;
};

/** The `to` of a command body: `d:press-7`, `g:floor-1`. */
export const formatAudience = (audience: Audience): string =>
  audience.kind === 'device' ? `d:${audience.device}` : `g:${audience.group}`;

/** Reads a command's `to`; undefined when it names neither a device nor a group. */
export const parseAudience = (to: string): Audience | undefined => {
  const name = to.slice(2);
  if (to.startsWith('d:') && isDeviceId(name)) return { kind: 'device', device: name };
  if (to.startsWith('g:') && isName(name)) return { kind: 'group', group: name };
  return undefined;
};

/** The event topic's class for an event's `type`: the part before the dot, `store.*` under `agent`. */
export const eventClassOf = (type: string): EventClass => {
  const head = type.slice(0, type.indexOf('.'));
  return isEventClass(head) ? head : 'agent';
};

/**
 * The filters a device holds: its desired document, its commands, its own presence (to mend a late will), and the
 * commands of its groups. `desired` and `presence` are exact, as some brokers send no retained message for wildcards.
 */
export const deviceFilters = (
  tenant: string,
  device: string,
  groups: readonly string[],
): readonly string[] => [
  `${VERSION}/${tenant}/d/${device}/desired`,
  `${VERSION}/${tenant}/d/${device}/cmd/+`,
  `${VERSION}/${tenant}/d/${device}/presence`,
  ...groups.map((group) => `${VERSION}/${tenant}/g/${group}/cmd/+`),
];

/**
 * Whether an MQTT 5 Response Topic may be answered: only a client's own inbox of the same tenant. Anything else would
 * let a sender make the device publish where the sender itself may not.
 */
export const isReplyTopicAllowed = (tenant: string, responseTopic: string): boolean => {
  const topic = parseTopic(responseTopic);
  return topic?.kind === 'reply' && topic.tenant === tenant;
};
