/** Keeps the filters of each connection in line with what is wanted, and finds out which ones a broker cannot bear. */
import type { Logger } from 'pino';
import type { Clock } from '../core/clock.ts';
import type { Connection } from './connection.ts';
import {
  allAnswered,
  answered,
  closedDuring,
  dueRetries,
  forgetUnwanted,
  type HuntState,
  INITIAL_HUNT,
  planSubscriptions,
} from './filter-hunt.ts';

/** Filters refused in SUBACK are asked for again at this pace on a standing link. */
const REFUSED_RETRY_MS = 600_000;

/** The subscriptions of one connection. Every promise is true, or false when the connection ended meanwhile. */
export interface SubscriptionRun {
  /** Brings the connection's filters in line with what is wanted. */
  sync(): Promise<boolean>;
  /** Asks for one filter again, so that its retained messages come again. */
  refresh(filter: string): Promise<boolean>;
  /** Asks again for refused filters whose time has come, the dangerous ones alone and last. */
  retry(): Promise<boolean>;
  /** True while an answer to a SUBSCRIBE is due. */
  isBusy(): boolean;
  /** The connection is over. `isAnswer` says whether it may have ended because of what was asked. */
  ended(isAnswer: boolean): void;
}

export interface Subscriptions {
  want(filters: readonly string[]): void;
  hunt(): HuntState;
  open(connection: Pick<Connection, 'subscribe' | 'unsubscribe' | 'destroy'>): SubscriptionRun;
}

export const createSubscriptions = (clock: Clock, log: Pick<Logger, 'warn'>): Subscriptions => {
  let wanted: readonly string[] = [];
  let hunt = INITIAL_HUNT;

  return {
    want(filters) {
      wanted = [...new Set(filters)];
      hunt = forgetUnwanted(hunt, wanted);
    },
    hunt: () => hunt,
    open(connection) {
      const asked = new Set<string>();
      let refusedAskedMs = clock.now();
      /** Null while the connection stands. */
      let end: { readonly isAnswer: boolean } | null = null;
      let due = 0;
      let isDirty = false;
      // One SUBSCRIBE at a time: only so can a close be laid at the door of one filter.
      let turn: Promise<boolean> = Promise.resolve(true);

      const ask = async (batch: readonly string[]): Promise<boolean> => {
        due += 1;
        const codes = await connection.subscribe(batch);
        due -= 1;
        if (codes === null) {
          if (end === null || end.isAnswer) {
            hunt = closedDuring(hunt, batch, clock.now());
            log.warn({ filters: batch }, 'connection ended on a subscription');
          }
          connection.destroy();
          return false;
        }
        hunt = answered(hunt, batch, codes);
        for (const filter of batch) asked.add(filter);
        return true;
      };
      const inTurn = (work: () => Promise<boolean>): Promise<boolean> => {
        turn = turn.then((isAlive) => (isAlive && end === null ? work() : false));
        return turn;
      };
      const align = async (): Promise<boolean> => {
        do {
          isDirty = false;
          const gone = [...asked].filter((f) => !wanted.includes(f));
          connection.unsubscribe(gone);
          for (const filter of gone) asked.delete(filter);
          for (const batch of planSubscriptions(
            hunt,
            wanted.filter((f) => !asked.has(f)),
          )) {
            if (!(await ask(batch))) return false;
          }
        } while (isDirty);
        hunt = allAnswered(hunt);
        return true;
      };

      return {
        sync() {
          isDirty = true;
          return inTurn(align);
        },
        refresh: (filter) =>
          inTurn(async () => (wanted.includes(filter) && !hunt.closers[filter] ? ask([filter]) : true)),
        retry: () =>
          inTurn(async () => {
            const now = clock.now();
            if (now - refusedAskedMs >= REFUSED_RETRY_MS) {
              refusedAskedMs = now;
              for (const filter of Object.keys(hunt.refused)) asked.delete(filter);
              if (!(await align())) return false;
            }
            for (const filter of dueRetries(hunt, now).due) {
              if (!(await ask([filter]))) return false;
            }
            return true;
          }),
        isBusy: () => due > 0,
        ended(isAnswer) {
          end = { isAnswer };
        },
      };
    },
  };
};
