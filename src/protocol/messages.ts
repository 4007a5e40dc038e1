/** Builds what a device sends: complete, closed, and short enough. Times are epoch seconds. */
import type { DownCause, EventMessage } from './event-schema.ts';
import { DOWN_CAUSES } from './event-schema.ts';
import type { HealthMessage } from './health-schema.ts';
import type { HelloMessage, PresenceMessage } from './presence-schema.ts';
import type { ReportedCondition, ReportedMessage } from './reported-schema.ts';
import { MAX_MSG_LENGTH, type ResultMessage } from './result-schema.ts';
import { cutText, encodedBytes, fitInto, MAX_UPSTREAM_BYTES, type Trim, upstreamLimit } from './size.ts';

/** How each kind is published; `expiryS` counts on MQTT 5 only. Health expires after two of its intervals. */
export const DELIVERY = {
  command: { qos: 1, retain: false },
  desired: { qos: 1, retain: true },
  result: { qos: 1, retain: false, expiryS: 86_400 },
  reported: { qos: 1, retain: true },
  event: { qos: 1, retain: false, expiryS: 604_800 },
  health: { qos: 0, retain: false },
  presence: { qos: 1, retain: true },
  hello: { qos: 1, retain: true },
} as const;

const MAX_CONDITION_MSG = 120;
const MAX_CAUSE = 80;
const MAX_STRING_IN_DATA = 200;
const MAX_URL = 253;

type Body<T> = Omit<T, 'v'>;

/** Long strings inside an open object, cut; what is not text stays. */
const cutStrings = (data: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      typeof value === 'string' ? cutText(value, MAX_STRING_IN_DATA) : value,
    ]),
  );

const largestKey = (data: Readonly<Record<string, unknown>>): string | undefined =>
  Object.keys(data).toSorted((a, b) => encodedBytes([data[b]]) - encodedBytes([data[a]]))[0];

const withoutKey = (
  data: Readonly<Record<string, unknown>>,
  key: string,
): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(data).filter(([name]) => name !== key));

/** An open object without its largest member; undefined when it is empty. */
const withoutLargest = (
  data: Readonly<Record<string, unknown>> | undefined,
): Readonly<Record<string, unknown>> | undefined => {
  const key = data && largestKey(data);
  return data === undefined || key === undefined ? undefined : withoutKey(data, key);
};

const dropFromOut: Trim<ResultMessage> = (message) => {
  const out = withoutLargest(message.out);
  return out && { ...message, out };
};

const dropFromData: Trim<EventMessage> = (message) => {
  const data = withoutLargest(message.data);
  return data && { ...message, data };
};

/** `res/{id}`. `msg` is cut at 200 characters; long members of `out` are cut, then left out. */
export const resultMessage = ({ msg, out, ...body }: Body<ResultMessage>): ResultMessage =>
  fitInto<ResultMessage>(
    {
      v: 1,
      ...body,
      ...(msg === undefined ? {} : { msg: cutText(msg, MAX_MSG_LENGTH) }),
      ...(out === undefined ? {} : { out: cutStrings(out) }),
    },
    MAX_UPSTREAM_BYTES,
    [dropFromOut],
  );

const SEVERITY_RANK = { error: 0, warning: 1, info: 2 } as const;
const bySeverity = (a: ReportedCondition, b: ReportedCondition): number =>
  SEVERITY_RANK[a.severity] - SEVERITY_RANK[b.severity] || b.since - a.since;

/** The oldest of the last results goes first. */
const dropLast: Trim<ReportedMessage> = ({ last, ...rest }) =>
  last === undefined ? undefined : last.length > 1 ? { ...rest, last: last.slice(0, -1) } : rest;

/** Then the texts of conditions, all at once: their codes say the same. */
const dropConditionTexts: Trim<ReportedMessage> = (message) =>
  message.conditions?.some(({ msg }) => msg !== undefined)
    ? { ...message, conditions: message.conditions.map(({ msg: _, ...rest }) => rest) }
    : undefined;

/** Then conditions, the mildest first; one error always stays. */
const dropCondition: Trim<ReportedMessage> = (message) =>
  message.conditions !== undefined && message.conditions.length > 1
    ? { ...message, conditions: message.conditions.slice(0, -1) }
    : undefined;

/** Then, of endpoints, since when, and at the very end the longest URL. */
const dropEndpointTimes: Trim<ReportedMessage> = (message) =>
  message.endpoints.some(({ since }) => since !== undefined)
    ? { ...message, endpoints: message.endpoints.map(({ since: _, ...rest }) => rest) }
    : undefined;

const dropLongestUrl: Trim<ReportedMessage> = (message) => {
  const longest = Math.max(0, ...message.endpoints.map(({ url }) => url?.length ?? 0));
  const at = message.endpoints.findIndex(({ url }) => longest > 0 && url?.length === longest);
  if (at === -1) return undefined;
  return {
    ...message,
    endpoints: message.endpoints.map(({ url, ...rest }, index) =>
      index === at || url === undefined ? rest : { ...rest, url },
    ),
  };
};

/**
 * `reported`. At most 16 conditions, the severest first, and 8 last results. What does not fit is given up in this
 * order: `last` from the oldest, the conditions' texts, conditions from the mildest, `since` of endpoints, URLs.
 */
export const reportedMessage = ({
  conditions,
  last,
  endpoints,
  ...body
}: Body<ReportedMessage>): ReportedMessage =>
  fitInto<ReportedMessage>(
    {
      v: 1,
      ...body,
      endpoints: endpoints.map((endpoint) =>
        endpoint.url === undefined ? endpoint : { ...endpoint, url: cutText(endpoint.url, MAX_URL) },
      ),
      ...(conditions === undefined
        ? {}
        : {
            conditions: conditions
              .toSorted(bySeverity)
              .slice(0, 16)
              .map(({ msg, ...rest }) =>
                msg === undefined ? rest : { ...rest, msg: cutText(msg, MAX_CONDITION_MSG) },
              ),
          }),
      ...(last === undefined ? {} : { last: last.slice(0, 8) }),
    },
    upstreamLimit(endpoints.length),
    [dropLast, dropConditionTexts, dropCondition, dropEndpointTimes, dropLongestUrl],
  );

const dropLastEndpoint: Trim<HealthMessage> = ({ eps, ...rest }) =>
  eps === undefined ? undefined : eps.length > 1 ? { ...rest, eps: eps.slice(0, -1) } : rest;

const rounded = (value: number): number => (Number.isFinite(value) ? Math.round(value * 1000) / 1000 : 0);

/** `health`. Figures keep three decimals; endpoints beyond the size are left out from the end. */
export const healthMessage = ({ lat, sys, ...body }: Body<HealthMessage>): HealthMessage =>
  fitInto<HealthMessage>(
    {
      v: 1,
      ...body,
      ...(lat === undefined ? {} : { lat: rounded(lat) }),
      ...(sys === undefined
        ? {}
        : {
            sys: Object.fromEntries(
              Object.entries(sys).map(([key, value]) => [key, value === null ? null : rounded(value)]),
            ),
          }),
    },
    upstreamLimit(body.eps?.length ?? 0),
    [dropLastEndpoint],
  );

/** `event/{class}`. Long members of `data` are cut, then left out. */
export const eventMessage = ({ cause, data, ...body }: Body<EventMessage>): EventMessage =>
  fitInto<EventMessage>(
    {
      v: 1,
      ...body,
      ...(cause === undefined ? {} : { cause: cutText(cause, MAX_CAUSE) }),
      ...(data === undefined ? {} : { data: cutStrings(data) }),
    },
    MAX_UPSTREAM_BYTES,
    [dropFromData],
  );

/** The `cause` of `endpoint.down`: one of the agreed words, then what there is to add. */
export const downCause = (word: DownCause, detail = ''): string =>
  cutText(detail === '' ? word : `${word} ${detail}`, MAX_CAUSE);

/** True when a cause begins as `endpoint.down` must. */
export const isDownCause = (cause: string): boolean =>
  DOWN_CAUSES.some((word) => cause === word || cause.startsWith(`${word} `));

/** `presence` while the link stands. */
export const birthMessage = (boot: string, n: number, ts: number): PresenceMessage => ({
  v: 1,
  online: true,
  boot,
  n,
  ts,
});

/** The will of the same connection: no time in it, as it is written before it is known when. */
export const willMessage = (boot: string, n: number): PresenceMessage => ({
  v: 1,
  online: false,
  boot,
  n,
  why: 'lost',
});

/** The last word of an orderly end; a DISCONNECT suppresses the will. */
export const goodbyeMessage = (
  boot: string,
  n: number,
  ts: number,
  why: 'shutdown' | 'restart',
): PresenceMessage => ({ v: 1, online: false, boot, n, ts, why });

/**
 * Whether a presence found on the own topic while the link stands must be mended: it says offline and is not the word
 * of this very connection (an old will that came late, or the goodbye of the start before).
 */
export const isStalePresence = (seen: PresenceMessage, boot: string, n: number): boolean => {
  if (seen.online) return false;
  const isOwnGoodbye =
    seen.boot === boot && seen.n === n && (seen.why === 'shutdown' || seen.why === 'restart');
  return !isOwnGoodbye;
};

/** `hello`. */
export const helloMessage = (body: Body<HelloMessage>): HelloMessage => ({ v: 1, ...body });
