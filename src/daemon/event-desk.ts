/** Where events are numbered, kept for the local page, held against the budget and put into the outbox. */
import type { Clock } from '../core/clock.ts';
import { DELIVERY, eventMessage } from '../protocol/messages.ts';
import { eventClassOf, formatTopic } from '../protocol/topics.ts';
import type { EventBudget, EventKind } from './event-budget.ts';
import type { Outbox } from './outbox.ts';
import type { RecentEvents } from './recent-events.ts';
import type { EventDraft } from './transitions.ts';

/** What was counted is told so often. */
const TELL_COUNTED_MS = 60_000;

export interface EventDeskOptions {
  readonly clock: Clock;
  readonly tenant: string;
  readonly device: string;
  readonly boot: string;
  readonly outbox: Outbox;
  readonly budget: EventBudget;
  readonly recent: RecentEvents;
  nowS(): number;
  /** Something waits in the outbox. */
  due(): void;
}

export interface EventDesk {
  event(draft: EventDraft): void;
  /** Connections that nobody could tell of one by one, whatever the reason. */
  uncounted(endpoint: string, connections: number): void;
  stop(): void;
}

const SINGLE = new Set(['conn.opened', 'conn.closed', 'conn.refused']);
/** Ends of commands, news of the authtoken and of security, the daemon's own life, and what sums up all others. */
const ALARMS = new Set([
  'command.done',
  'cred.swapped',
  'cred.refused',
  'cred.request',
  'security.alert',
  'agent.start',
  'agent.stop',
  'conn.summary',
]);

const kindOf = ({ type, data }: EventDraft): EventKind => {
  if (SINGLE.has(type)) return 'connection';
  const isError = type === 'condition.set' && data?.['severity'] === 'error';
  return isError || ALARMS.has(type) ? 'alarm' : 'news';
};

export const createEventDesk = (options: EventDeskOptions): EventDesk => {
  const { clock, tenant, device, boot, outbox, budget } = options;
  let n = 0;
  /** Single events that were not told, by endpoint and type. */
  const counted = new Map<string, Record<string, number>>();
  /** All other events that were not told, by type. */
  let flood: Record<string, number> = {};
  let cancel: (() => void) | undefined;

  const put = (draft: EventDraft): 'send' | 'count' | 'drop' => {
    const { type, ...rest } = draft;
    const topic = formatTopic({ kind: 'event', tenant, device, class: eventClassOf(type) });
    const payload = JSON.stringify(eventMessage({ ts: options.nowS(), boot, n, type, ...rest }));
    const kind = kindOf(draft);
    const verdict = budget.admit(payload.length + topic.length, kind);
    if (kind !== 'connection' || verdict === 'send') options.recent.add(clock.wall(), draft);
    if (verdict === 'count') return verdict;
    n += 1;
    if (verdict === 'drop') outbox.drop();
    else outbox.event({ topic, payload, ...DELIVERY.event });
    return verdict;
  };

  const tellCounted = (): void => {
    cancel = undefined;
    for (const [ep, data] of counted)
      put({ type: 'conn.summary', ep, data: { s: TELL_COUNTED_MS / 1000, ...data } });
    counted.clear();
    if (Object.keys(flood).length > 0)
      put({ type: 'security.alert', code: 'EVENT_FLOOD', data: { s: TELL_COUNTED_MS / 1000, ...flood } });
    flood = {};
    options.due();
  };

  const count = (ep: string, what: string, by: number): void => {
    const sums = counted.get(ep) ?? {};
    sums[what] = (sums[what] ?? 0) + by;
    counted.set(ep, sums);
    cancel ??= clock.after(TELL_COUNTED_MS, tellCounted);
  };

  return {
    event: (draft) => {
      const { type, ep = '' } = draft;
      if (put(draft) !== 'count') return options.due();
      if (SINGLE.has(type)) count(ep, type.slice('conn.'.length), 1);
      else {
        flood[type] = (flood[type] ?? 0) + 1;
        cancel ??= clock.after(TELL_COUNTED_MS, tellCounted);
      }
    },
    uncounted: (endpoint, connections) => count(endpoint, 'untold', connections),
    stop: () => cancel?.(),
  };
};
