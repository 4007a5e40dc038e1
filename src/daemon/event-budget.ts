/**
 * What a device may send. Beyond so many events in a minute they are only counted, and one message tells how many; so are
 * single connections beyond half of the day's bytes. Reports come more and more seldom as the day's bytes run out. What
 * matters most has the last of them: alarms go on when other events have ended, and health, results and one report now
 * and then when those have too.
 */
import type { Clock } from '../core/clock.ts';

/** Events in a minute before they are counted instead of told. */
export const EVENTS_PER_MINUTE = 64;
/** Payload and topic of everything that is sent, in a day. Documented in docs/observability.md. */
export const DAY_BYTES = 2_000_000;
/** Reports go out at least so far apart, and at most, when something changed. */
export const REPORT_GAP_MS = 2000;
export const LONGEST_REPORT_GAP_MS = 900_000;
/** Shares of the day's bytes after which a kind of event ends. */
const SHARES = { connection: 0.5, news: 0.85, alarm: 0.9 } as const;
/** Reports become rarer from the first of these shares on, and are spread over the rest of the day from the second. */
const FREE_SHARE = 0.25;
const PACED_SHARE = 0.5;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/**
 * `connection`: one visitor's. `alarm`: told whatever the minute has seen, for somebody waits for it or must act.
 * `news`: everything else.
 */
export type EventKind = keyof typeof SHARES;

/** What of the day is spent; `dayAt` is when it began, on the monotonic clock. */
export interface SpentBudget {
  readonly dayAt: number;
  readonly bytes: number;
}

export interface EventBudget {
  /** Whether an event of so many bytes is sent; what is sent is spent. */
  admit(bytes: number, kind: EventKind): 'send' | 'count' | 'drop';
  /** Something else was sent. */
  spend(bytes: number): void;
  /** How long after the last report one of so many bytes may follow. */
  reportGapMs(bytes: number): number;
  spent(): SpentBudget;
  /** The day goes on that began under the supervisor before. */
  carryOn(spent: SpentBudget): void;
}

export const createEventBudget = (clock: Clock): EventBudget => {
  let minuteAt = clock.now();
  let inMinute = 0;
  let dayAt = clock.now();
  let spent = 0;

  const turn = (): void => {
    const now = clock.now();
    if (now - minuteAt >= MINUTE_MS) {
      minuteAt = now;
      inMinute = 0;
    }
    if (now - dayAt >= DAY_MS) {
      dayAt = now;
      spent = 0;
    }
  };

  return {
    admit: (bytes, kind) => {
      turn();
      const isOver = spent + bytes > DAY_BYTES * SHARES[kind];
      if (isOver) return kind === 'connection' ? 'count' : 'drop';
      if (kind !== 'alarm' && inMinute >= EVENTS_PER_MINUTE) return 'count';
      inMinute += 1;
      spent += bytes;
      return 'send';
    },
    spend: (bytes) => {
      turn();
      spent += bytes;
    },
    spent: () => ({ dayAt, bytes: spent }),
    carryOn: (before) => {
      dayAt = before.dayAt;
      spent += before.bytes;
    },
    reportGapMs: (bytes) => {
      turn();
      const left = DAY_BYTES * SHARES.alarm - spent;
      if (left < bytes) return LONGEST_REPORT_GAP_MS;
      const weight = (spent / DAY_BYTES - FREE_SHARE) / (PACED_SHARE - FREE_SHARE);
      const evenMs = (bytes * (dayAt + DAY_MS - clock.now())) / left;
      const gapMs = evenMs * Math.min(1, Math.max(0, weight));
      return Math.min(LONGEST_REPORT_GAP_MS, Math.max(REPORT_GAP_MS, gapMs));
    },
  };
};
