/**
 * Tells the cloud: birth and goodbye, reported state on change, events, health. What is observed is told as it is;
 * nothing here decides anything. Each kind of message has a part of its own; this one holds them together.
 */
import type { Clock } from '../core/clock.ts';
import { type Condition, updateConditions } from '../core/condition.ts';
import type { HealthMessage } from '../protocol/health-schema.ts';
import type { JudgeTime } from '../protocol/judge-context.ts';
import { DELIVERY } from '../protocol/messages.ts';
import type { HelloMessage } from '../protocol/presence-schema.ts';
import { formatTopic } from '../protocol/topics.ts';
import { startConnSummaries } from './conn-summary.ts';
import { createEventBudget, REPORT_GAP_MS, type SpentBudget } from './event-budget.ts';
import { createEventDesk } from './event-desk.ts';
import { createHealthBeat } from './health-beat.ts';
import type { Outbox } from './outbox.ts';
import type { JournalEntry, Link, OutboundMessage } from './ports.ts';
import { createPresence } from './presence.ts';
import { createRecentEvents } from './recent-events.ts';
import { type Revisions, reportedText } from './reported.ts';
import { reportKey, type Snapshot } from './snapshot.ts';
import type { RecentEvent } from './status.ts';
import { conditionEvents, type EventDraft, type Told, transitionEvents } from './transitions.ts';
import type { WallTime } from './wall-time.ts';

/** Who looks for the causes of conditions may take so long after a start. */
const FIRST_LOOK_MS = 20_000;

export interface ReporterOptions {
  readonly clock: Clock;
  readonly wall: WallTime;
  readonly tenant: string;
  readonly device: string;
  readonly boot: string;
  readonly outbox: Outbox;
  link(): Link | null;
  time(): JudgeTime;
  snapshot(): Snapshot;
  /** Revisions for `reported`. */
  revisions(): Revisions;
  newest(): readonly JournalEntry[];
  hello(): Omit<HelloMessage, 'v'>;
  health(): Promise<Pick<HealthMessage, 'sys' | 'sec' | 'up' | 'q'>>;
  /** Active hours of this month, by endpoint. */
  activeHours(): Readonly<Record<string, { readonly month: number }>>;
  /** Seconds between two health messages. */
  healthS(): number;
  /** Seconds of a window of `conn.summary`; 0 for none. */
  connS(): number;
}

export interface Reporter {
  /** State changed: derive events, report soon. */
  changed(): void;
  event(draft: EventDraft): void;
  /** Connections of an endpoint that came too fast to be told one by one. */
  uncounted(endpoint: string, connections: number): void;
  /** The last events, newest first. */
  recent(): readonly RecentEvent[];
  result(id: string, payload: string): void;
  conditions(): readonly Condition[];
  will(connect: number): OutboundMessage;
  /** The link is up. A broker that forgot the session may have forgotten everything retained too. */
  up(connect: number, sessionPresent: boolean): Promise<void>;
  goodbye(why: 'shutdown' | 'restart'): Promise<void>;
  presenceSeen(payload: Uint8Array): void;
  reportNow(): Promise<void>;
  /** What the cloud was told last, for the next supervisor. */
  told(): Told;
  /** What of the day's bytes is spent. */
  spent(): SpentBudget;
  /** `past`: of the supervisor before, where it only handed over; null where all is news and the day begins. */
  start(past: { readonly told: Told; readonly spent: SpentBudget } | null): void;
  stop(): void;
}

export const createReporter = (options: ReporterOptions): Reporter => {
  const { clock, tenant, device, boot, outbox } = options;
  let before: Pick<Told, 'session' | 'endpoints'> | null = null;
  let conditions: readonly Condition[] = [];
  let lastKey = '';
  /** What the broker has of it. */
  let sentKey = '';
  let lastAsked = '';
  let lastReportAt = Number.NEGATIVE_INFINITY;
  let lastReportBytes = 0;
  let cancelReport: (() => void) | undefined;
  let reportAt = Number.POSITIVE_INFINITY;
  let cancelAgain: (() => void) | undefined;
  let stopSummaries: (() => void) | undefined;
  let isStarted = false;
  let lastHello = '';
  let lostAt: number | null = clock.now();
  const budget = createEventBudget(clock);
  const recent = createRecentEvents();

  const nowS = (): number => options.time().nowS;
  const topic = (kind: 'reported' | 'presence' | 'hello' | 'health'): string =>
    formatTopic({ kind, tenant, device });
  const isUp = (): boolean => options.link()?.status().state === 'connected';

  /** Best effort: what is lost here is sent again on the next connect. */
  const send = async (message: OutboundMessage): Promise<boolean> => {
    const link = options.link();
    if (link === null) return false;
    try {
      await link.publish(message);
      budget.spend(message.topic.length + message.payload.length);
      return true;
    } catch {
      return false;
    }
  };

  const flush = (): void => {
    const link = options.link();
    if (link !== null && isUp() && outbox.waiting() > 0) void outbox.flush(link);
  };

  const desk = createEventDesk({ clock, tenant, device, boot, outbox, budget, recent, nowS, due: flush });
  const presence = createPresence({ clock, topic: topic('presence'), boot, nowS, isUp, send });
  const beat = createHealthBeat({
    clock,
    topic: topic('health'),
    device,
    boot,
    time: options.time,
    snapshot: options.snapshot,
    figures: options.health,
    activeHours: options.activeHours,
    everyS: options.healthS,
    send,
  });

  const sendReported = async (): Promise<void> => {
    lastReportAt = clock.now();
    const payload = reportedText({
      snapshot: options.snapshot(),
      conditions,
      revisions: options.revisions(),
      newest: options.newest(),
      time: options.time(),
      boot,
      wallS: options.wall.s,
    });
    lastReportBytes = topic('reported').length + payload.length;
    const key = lastKey;
    if (await send({ topic: topic('reported'), payload, ...DELIVERY.reported })) sentKey = key;
  };

  /** The newest state wins. What somebody asked for does not wait for the budget. */
  const scheduleReport = (isAsked: boolean): void => {
    const gapMs = isAsked ? REPORT_GAP_MS : budget.reportGapMs(lastReportBytes);
    const at = Math.max(clock.now(), lastReportAt + gapMs);
    if (at >= reportAt) return;
    cancelReport?.();
    reportAt = at;
    cancelReport = clock.after(at - clock.now(), () => {
      reportAt = Number.POSITIVE_INFINITY;
      if (isUp() && sentKey !== lastKey) void sendReported();
    });
  };

  const changed = (): void => {
    if (!isStarted) return;
    const now = options.snapshot();
    const awayMs = lostAt === null ? 0 : clock.now() - lostAt;
    for (const draft of transitionEvents(before, now, awayMs)) desk.event(draft);
    lostAt = now.session.state === 'connected' ? null : (lostAt ?? clock.now());
    const change = updateConditions(conditions, now.conditions, clock.now());
    conditions = change.conditions;
    cancelAgain?.();
    cancelAgain = change.againAt === null ? undefined : clock.after(change.againAt - clock.now(), changed);
    for (const draft of conditionEvents(change.set, change.cleared)) desk.event(draft);
    before = now;
    const asked = JSON.stringify([
      options.revisions(),
      options.newest().map((e) => e.id),
      now.locked,
      now.cred,
    ]);
    const key = reportKey(now, conditions) + asked;
    if (key === lastKey) return;
    scheduleReport(asked !== lastAsked);
    lastKey = key;
    lastAsked = asked;
  };

  const sendHello = async (): Promise<void> => {
    const text = JSON.stringify({ v: 1, ...options.hello() });
    if (text === lastHello) return;
    if (await send({ topic: topic('hello'), payload: text, ...DELIVERY.hello })) lastHello = text;
  };

  return {
    changed,
    event: desk.event,
    uncounted: desk.uncounted,
    recent: recent.all,
    result: (id, payload) => {
      const message: OutboundMessage = {
        topic: formatTopic({ kind: 'result', tenant, device, id }),
        payload,
        ...DELIVERY.result,
        correlation: id,
      };
      budget.spend(message.topic.length + message.payload.length);
      outbox.result(message);
      flush();
    },
    conditions: () => conditions,
    will: presence.will,
    up: async (n, sessionPresent) => {
      if (!sessionPresent) lastHello = '';
      await presence.birth(n);
      await sendReported();
      const link = options.link();
      if (link !== null) await outbox.flush(link);
      await sendHello();
    },
    goodbye: async (why) => {
      presence.stop();
      const link = options.link();
      if (link !== null && isUp()) {
        await outbox.flush(link);
        await sendReported();
        await presence.goodbye(why);
      }
      await outbox.settle();
    },
    presenceSeen: presence.seen,
    reportNow: async () => {
      lastHello = '';
      await sendHello();
      await sendReported();
      await beat.sendNow();
    },
    told: () => ({
      session: { state: before?.session.state ?? 'stopped' },
      endpoints: (before?.endpoints ?? []).map(({ name, state, url, since }) => ({
        name,
        state,
        url,
        since,
      })),
      conditions: conditions.map(({ goneAt: _, heldUntil: __, ...c }) => ({ ...c, goneAt: null })),
      lostAt,
    }),
    spent: budget.spent,
    start: (past) => {
      isStarted = true;
      if (past !== null) {
        const { told } = past;
        budget.carryOn(past.spent);
        before = told;
        lostAt = told.lostAt;
        const heldUntil = clock.now() + FIRST_LOOK_MS;
        conditions = told.conditions.map((c) => ({ ...c, heldUntil }));
      }
      beat.start();
      stopSummaries = startConnSummaries({
        clock,
        everyS: options.connS,
        snapshot: options.snapshot,
        event: desk.event,
      });
      changed();
    },
    stop: () => {
      isStarted = false;
      cancelReport?.();
      cancelAgain?.();
      beat.stop();
      stopSummaries?.();
      desk.stop();
      presence.stop();
    },
  };
};
