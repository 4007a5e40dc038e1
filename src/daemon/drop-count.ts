/** Messages that were dropped unanswered: counted always, told at most once a minute. */
import type { Clock } from '../core/clock.ts';
import type { DropCounter } from '../protocol/judge-context.ts';
import type { Log } from './log.ts';
import type { EventDraft } from './transitions.ts';

const ALERT_GAP_MS = 60_000;

export interface DropCount {
  count(counter: DropCounter): void;
  /** Since start, by reason. */
  all(): Readonly<Record<string, number>>;
}

export const createDropCount = (clock: Clock, log: Log, event: (draft: EventDraft) => void): DropCount => {
  const dropped: Record<string, number> = {};
  let lastAlertAt = Number.NEGATIVE_INFINITY;
  return {
    all: () => ({ ...dropped }),
    count: (counter) => {
      dropped[counter] = (dropped[counter] ?? 0) + 1;
      if (counter === 'topic' || clock.now() - lastAlertAt < ALERT_GAP_MS) return;
      lastAlertAt = clock.now();
      event({ type: 'security.alert', code: counter.toUpperCase(), data: { ...dropped } });
      log.warn({ ...dropped }, 'messages dropped');
    },
  };
};
