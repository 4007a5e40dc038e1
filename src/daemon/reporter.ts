/**
 * Tells the cloud: birth and goodbye, reported state on change, events, health at a fixed phase of its interval. What
 * is observed is told as it is; nothing here decides anything.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { type Condition, updateConditions } from '../core/condition.ts';
import type { HealthMessage } from '../protocol/health-schema.ts';
import type { JudgeTime } from '../protocol/judge-context.ts';
import {
  birthMessage,
  DELIVERY,
  eventMessage,
  goodbyeMessage,
  healthMessage,
  isStalePresence,
  reportedMessage,
  willMessage,
} from '../protocol/messages.ts';
import type { HelloMessage } from '../protocol/presence-schema.ts';
import { eventClassOf, formatTopic } from '../protocol/topics.ts';
import { checkPresence } from '../protocol/validate.ts';
import type { Outbox } from './outbox.ts';
import type { JournalEntry, Link, OutboundMessage } from './ports.ts';
import { reportKey, type Snapshot } from './snapshot.ts';
import { conditionEvents, type EventDraft, transitionEvents } from './transitions.ts';

/** Reports go out at least so far apart. */
const REPORT_GAP_MS = 2000;
/** A late will is mended by a second birth, where the broker does not let the device read its own presence. */
const SECOND_BIRTH_MS = 50_000;

export interface ReporterOptions {
  readonly clock: Clock;
  readonly tenant: string;
  readonly device: string;
  readonly boot: string;
  readonly outbox: Outbox;
  link(): Link | null;
  time(): JudgeTime;
  snapshot(): Snapshot;
  /** Revisions for `reported`. */
  revisions(): {
    readonly rev: number;
    readonly applied: number;
    readonly bad: { readonly code: string; readonly rev?: number } | null;
  };
  newest(): readonly JournalEntry[];
  hello(): Omit<HelloMessage, 'v'>;
  health(): Promise<Pick<HealthMessage, 'sys' | 'sec' | 'up' | 'q'>>;
  /** Seconds between two health messages. */
  healthS(): number;
}

export interface Reporter {
  /** State changed: derive events, report soon. */
  changed(): void;
  event(draft: EventDraft): void;
  result(id: string, payload: string): void;
  conditions(): readonly Condition[];
  will(connect: number): OutboundMessage;
  /** The link is up. A broker that forgot the session may have forgotten everything retained too. */
  up(connect: number, sessionPresent: boolean): Promise<void>;
  goodbye(why: 'shutdown' | 'restart'): Promise<void>;
  presenceSeen(payload: Uint8Array): void;
  reportNow(): Promise<void>;
  start(): void;
  stop(): void;
}

export const createReporter = (options: ReporterOptions): Reporter => {
  const { clock, tenant, device, boot, outbox } = options;
  let before: Snapshot | null = null;
  let conditions: readonly Condition[] = [];
  let lastKey = '';
  let lastReportAt = Number.NEGATIVE_INFINITY;
  let cancelReport: (() => void) | undefined;
  let cancelHealth: (() => void) | undefined;
  let cancelBirth: (() => void) | undefined;
  let isStarted = false;
  let connect = 0;
  let eventN = 0;
  let healthN = 0;
  let lastHello = '';
  let lostAt: number | null = clock.now();

  const nowS = (): number => options.time().nowS;
  const topic = (kind: 'reported' | 'presence' | 'hello' | 'health'): string =>
    formatTopic({ kind, tenant, device });
  /** Monotonic to epoch seconds. */
  const wallS = (at: number): number => Math.max(0, Math.round((clock.wall() - (clock.now() - at)) / 1000));
  const isUp = (): boolean => options.link()?.status().state === 'connected';

  /** Best effort: what is lost here is sent again on the next connect. */
  const send = async (message: OutboundMessage): Promise<boolean> => {
    const link = options.link();
    if (link === null) return false;
    try {
      await link.publish(message);
      return true;
    } catch {
      return false;
    }
  };

  const flush = (): void => {
    const link = options.link();
    if (link !== null && isUp() && outbox.waiting() > 0) void outbox.flush(link);
  };

  const event = (draft: EventDraft): void => {
    const { type, ...rest } = draft;
    const message = eventMessage({ ts: nowS(), boot, n: eventN++, type, ...rest });
    outbox.event({
      topic: formatTopic({ kind: 'event', tenant, device, class: eventClassOf(type) }),
      payload: JSON.stringify(message),
      ...DELIVERY.event,
    });
    flush();
  };

  const reportedText = (): string => {
    const s = options.snapshot();
    const { rev, applied, bad } = options.revisions();
    const { session, cred } = s;
    return JSON.stringify(
      reportedMessage({
        ts: nowS(),
        boot,
        rev,
        applied,
        ...(bad === null ? {} : { bad }),
        clk: options.time().state,
        cred: {
          gen: cred.gen,
          ...(cred.want === null ? {} : { want: cred.want }),
          ...(cred.fingerprint === '' ? {} : { fp: cred.fingerprint }),
          state: cred.state,
        },
        session: {
          state: session.state === 'connected' ? 'up' : session.state,
          ...(session.since === null ? {} : { since: wallS(session.since) }),
          ...(session.lastError === null ? {} : { err: session.lastError.code }),
        },
        endpoints: s.endpoints.slice(0, 32).map((e) => ({
          name: e.name,
          state: e.state,
          ...(e.url === '' ? {} : { url: e.url }),
          ...(e.since === null ? {} : { since: wallS(e.since) }),
          ...(e.lastError === null ? {} : { code: e.lastError.code }),
          by: e.by,
          ...(e.leaseEndsAt === null ? {} : { lease_end: wallS(e.leaseEndsAt) }),
        })),
        locked: s.locked,
        conditions: conditions.map((c) => ({
          code: c.code,
          severity: c.severity,
          since: Math.round(c.sinceMs / 1000),
          msg: c.message,
          ...(c.endpoint === undefined ? {} : { ep: c.endpoint }),
        })),
        last: options.newest().map((e) => [e.id, e.status, ...(e.code === undefined ? [] : [e.code])]),
      }),
    );
  };

  const sendReported = async (): Promise<void> => {
    lastReportAt = clock.now();
    await send({ topic: topic('reported'), payload: reportedText(), ...DELIVERY.reported });
  };

  const scheduleReport = (): void => {
    if (cancelReport !== undefined || !isStarted) return;
    const waitMs = Math.max(0, lastReportAt + REPORT_GAP_MS - clock.now());
    cancelReport = clock.after(waitMs, () => {
      cancelReport = undefined;
      if (isUp()) void sendReported();
    });
  };

  const changed = (): void => {
    if (!isStarted) return;
    const now = options.snapshot();
    const awayMs = lostAt === null ? 0 : clock.now() - lostAt;
    for (const draft of transitionEvents(before, now, awayMs)) event(draft);
    lostAt = now.session.state === 'connected' ? null : (lostAt ?? clock.now());
    const change = updateConditions(conditions, now.conditions, clock.wall());
    conditions = change.conditions;
    for (const draft of conditionEvents(change.set, change.cleared)) event(draft);
    before = now;
    const key =
      reportKey(now, conditions) + JSON.stringify([options.revisions(), options.newest().map((e) => e.id)]);
    if (key === lastKey) return;
    lastKey = key;
    scheduleReport();
  };

  const sendHello = async (): Promise<void> => {
    const text = JSON.stringify({ v: 1, ...options.hello() });
    if (text === lastHello) return;
    if (await send({ topic: topic('hello'), payload: text, ...DELIVERY.hello })) lastHello = text;
  };

  const sendBirth = (): Promise<boolean> =>
    send({
      topic: topic('presence'),
      payload: JSON.stringify(birthMessage(boot, connect, nowS())),
      ...DELIVERY.presence,
    });

  const sendHealth = async (): Promise<void> => {
    const s = options.snapshot();
    const figures = await options.health();
    const eps = s.endpoints.map((e) => ({
      name: e.name,
      state: e.state,
      req: e.counters.requests,
      conn: e.counters.connections,
      in: e.counters.bytesIn,
      out: e.counters.bytesOut,
    }));
    const message = healthMessage({
      ts: nowS(),
      boot,
      n: healthN,
      sess: s.session.state === 'connected' ? 'up' : s.session.state,
      ...(s.session.latencyMs === null ? {} : { lat: s.session.latencyMs }),
      eps,
      clk: options.time().state,
      ...figures,
    });
    // `n` has no gaps: it counts what was handed to the broker.
    const isSent = await send({
      topic: topic('health'),
      payload: JSON.stringify(message),
      ...DELIVERY.health,
      expiryS: 2 * options.healthS(),
    });
    if (isSent) healthN++;
  };

  /** Every device has its own place in the interval, the same after each restart. */
  const scheduleHealth = (): void => {
    cancelHealth?.();
    const intervalMs = options.healthS() * 1000;
    const hash = createHash('sha256').update(device).digest().readUInt32BE(0);
    const phaseMs = hash % intervalMs;
    const waitMs = intervalMs - ((clock.wall() - phaseMs) % intervalMs);
    cancelHealth = clock.after(waitMs, () => {
      void sendHealth().finally(() => {
        if (isStarted) scheduleHealth();
      });
    });
  };

  return {
    changed,
    event,
    result: (id, payload) => {
      outbox.result({
        topic: formatTopic({ kind: 'result', tenant, device, id }),
        payload,
        ...DELIVERY.result,
        correlation: id,
      });
      flush();
    },
    conditions: () => conditions,
    will: (n) => ({
      topic: topic('presence'),
      payload: JSON.stringify(willMessage(boot, n)),
      ...DELIVERY.presence,
    }),
    up: async (n, sessionPresent) => {
      connect = n;
      if (!sessionPresent) lastHello = '';
      await sendBirth();
      await sendReported();
      const link = options.link();
      if (link !== null) await outbox.flush(link);
      await sendHello();
      cancelBirth?.();
      cancelBirth = clock.after(SECOND_BIRTH_MS, () => {
        if (isUp()) void sendBirth();
      });
    },
    goodbye: async (why) => {
      cancelBirth?.();
      const link = options.link();
      if (link === null || !isUp()) return;
      await outbox.flush(link);
      await sendReported();
      await send({
        topic: topic('presence'),
        payload: JSON.stringify(goodbyeMessage(boot, connect, nowS(), why)),
        ...DELIVERY.presence,
      });
    },
    presenceSeen: (payload) => {
      let value: unknown;
      try {
        value = JSON.parse(Buffer.from(payload).toString('utf8'));
      } catch {
        return;
      }
      const seen = checkPresence(value);
      if (seen.ok && isStalePresence(seen.value, boot, connect)) void sendBirth();
    },
    reportNow: async () => {
      lastHello = '';
      await sendHello();
      await sendReported();
      await sendHealth();
    },
    start: () => {
      isStarted = true;
      scheduleHealth();
      changed();
    },
    stop: () => {
      isStarted = false;
      cancelReport?.();
      cancelHealth?.();
      cancelBirth?.();
    },
  };
};
