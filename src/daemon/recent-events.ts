/** The last events, for those who look at the device itself. */
import type { RecentEvent } from './status.ts';
import type { EventDraft } from './transitions.ts';

const MAX_EVENTS = 60;

export interface RecentEvents {
  add(at: number, draft: EventDraft): void;
  /** Newest first. */
  all(): readonly RecentEvent[];
}

export const createRecentEvents = (): RecentEvents => {
  const events: RecentEvent[] = [];
  return {
    add: (at, draft) => {
      events.unshift({ at, ...draft });
      if (events.length > MAX_EVENTS) events.pop();
    },
    all: () => events,
  };
};
