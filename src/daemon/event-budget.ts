/**
 * What events may cost a device. Single connections give way first: beyond so many in a minute they are only counted,
 * and beyond half of the day's bytes too. Beyond all of the day's bytes no event goes out until the day is over.
 */
import type { Clock } from '../core/clock.ts';

/** Events in a minute before single connections are counted instead of told. */
export const EVENTS_PER_MINUTE = 64;
/** Payload and topic of everything that is sent, in a day. Documented in docs/observability.md. */
export const DAY_BYTES = 2_000_000;
const CONN_SHARE = 0.5;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

export interface EventBudget {
  /** Whether an event of so many bytes is sent; what is sent is spent. */
  admit(bytes: number, isConnection: boolean): 'send' | 'count' | 'drop';
  /** Something else was sent. */
  spend(bytes: number): void;
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
    admit: (bytes, isConnection) => {
      turn();
      if (isConnection && (inMinute >= EVENTS_PER_MINUTE || spent + bytes > DAY_BYTES * CONN_SHARE))
        return 'count';
      if (spent + bytes > DAY_BYTES) return 'drop';
      inMinute += 1;
      spent += bytes;
      return 'send';
    },
    spend: (bytes) => {
      turn();
      spent += bytes;
    },
  };
};
