/** Events as ngrok would send them to a destination, kept in memory: nothing leaves the sandbox. */
import type { Clock } from '../../core/clock.ts';
import type { NewId } from './ids.ts';
import { timeText } from './time-text.ts';

export interface NewEvent {
  /** `tunnel_credential_created.v0`. */
  readonly type: string;
  readonly account: string;
  /** Id of who did it, or null. */
  readonly principal: string | null;
  readonly object: Readonly<Record<string, unknown>>;
}

export interface RecordedEvent {
  readonly event_id: string;
  readonly event_type: string;
  readonly event_timestamp: string;
  readonly account_id: string;
  readonly principal: { readonly id: string } | null;
  readonly object: Readonly<Record<string, unknown>>;
}

export interface EventLog {
  record(event: NewEvent): void;
  /** Oldest first; the oldest are dropped beyond the cap. */
  readonly list: readonly RecordedEvent[];
}

const MOST_EVENTS = 10_000;

export const createEventLog = (clock: Clock, newId: NewId): EventLog => {
  const list: RecordedEvent[] = [];
  return {
    list,
    record: (event) => {
      list.push({
        event_id: `ev_${newId()}`,
        event_type: event.type,
        event_timestamp: timeText(clock.wall()),
        account_id: event.account,
        principal: event.principal === null ? null : { id: event.principal },
        object: event.object,
      });
      if (list.length > MOST_EVENTS) list.shift();
    },
  };
};
