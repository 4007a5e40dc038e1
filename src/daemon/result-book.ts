/**
 * The life of each command as the outside sees it: journalled first, published after. One terminal status per id, for
 * ever; the same id again gets the same answer.
 */
import type { Fault, FaultCode, Result } from '../core/errors.ts';
import { failed, fault } from '../core/errors.ts';
import type { AcceptedCommand, RecordedAnswer, RefusedCommand } from '../protocol/judge-command.ts';
import { resultMessage } from '../protocol/messages.ts';
import { isTerminal, type ResultStatus, type TerminalStatus } from '../protocol/result-schema.ts';
import type { CommandJournal, JournalEntry } from './ports.ts';

/** How a command ended. */
export interface Outcome {
  readonly status: TerminalStatus;
  readonly code?: FaultCode;
  readonly msg?: string;
  readonly retryS?: number;
  readonly out?: Readonly<Record<string, unknown>>;
}

export const succeeded = (out?: Readonly<Record<string, unknown>>): Outcome =>
  out === undefined ? { status: 'succeeded' } : { status: 'succeeded', out };

/** Where a retry helps the result says after how many seconds. */
const RETRY_S = 30;

export const endedWith = (
  status: Exclude<TerminalStatus, 'succeeded'>,
  f: Fault,
  out?: Readonly<Record<string, unknown>>,
): Outcome => {
  const all = { ...out, ...(f.ngrokCode === undefined ? {} : { ngrokCode: f.ngrokCode }) };
  return {
    status,
    code: f.code,
    msg: f.message,
    ...(f.retryable ? { retryS: RETRY_S } : {}),
    ...(Object.keys(all).length === 0 ? {} : { out: all }),
  };
};

export interface ResultBookOptions {
  readonly journal: CommandJournal;
  readonly boot: string;
  nowS(): number;
  /** Queues a result message for its topic. */
  send(id: string, payload: string): void;
  /** A command reached its end. */
  ended(entry: JournalEntry): void;
}

export interface ResultBook {
  lookup(id: string): RecordedAnswer | undefined;
  /** Journals `accepted` durably, with what is needed to judge the command after a restart; then tells. */
  accept(accepted: AcceptedCommand, memo?: Readonly<Record<string, unknown>>): Promise<Result<void>>;
  executing(id: string): Promise<Result<void>>;
  end(id: string, outcome: Outcome): Promise<void>;
  /** Counts one more attempt of a command that a restart found unfinished; undefined when it has ended. */
  resumed(id: string): Promise<JournalEntry | undefined>;
  refuse(refused: RefusedCommand): Promise<void>;
  /** Answers a repeated id with its last known status. */
  repeat(id: string): void;
  newest(count: number): readonly JournalEntry[];
}

export const createResultBook = (options: ResultBookOptions): ResultBook => {
  const { journal, boot, nowS } = options;

  const publish = (entry: JournalEntry, isDup: boolean, retryS?: number): void => {
    const { id, op, status, n, code, msg, out } = entry;
    const message = resultMessage({
      id,
      op,
      status,
      n: Math.min(64, n),
      ts: nowS(),
      boot,
      ...(isDup ? { dup: true } : {}),
      ...(code === undefined ? {} : { code }),
      ...(msg === undefined ? {} : { msg }),
      ...(retryS === undefined ? {} : { retry_s: retryS }),
      ...(out === undefined || !isTerminal(status) ? {} : { out }),
    });
    options.send(id, JSON.stringify(message));
  };

  const record = async (entry: JournalEntry, retryS?: number): Promise<Result<void>> => {
    const saved = await journal.record(entry);
    // What could not be written still counts in memory, and the sender still gets its answer.
    publish(entry, false, retryS);
    if (isTerminal(entry.status)) options.ended(entry);
    return saved;
  };

  const next = (id: string, status: ResultStatus): JournalEntry | undefined => {
    const known = journal.lookup(id);
    if (known === undefined || isTerminal(known.status)) return undefined;
    return { ...known, status, n: known.n + 1, ts: nowS() };
  };

  return {
    lookup: (id) => journal.lookup(id),
    accept: async ({ command, digest }, memo) => {
      const entry: JournalEntry = {
        id: command.id,
        op: command.op,
        status: 'accepted',
        n: 1,
        ts: nowS(),
        expS: command.exp,
        digest,
        attempts: 0,
        ...(memo === undefined ? {} : { out: memo }),
      };
      const saved = await journal.record(entry);
      if (saved.ok) publish(entry, false);
      return saved;
    },
    executing: async (id) => {
      const entry = next(id, 'executing');
      if (entry === undefined) return failed(fault('INTERNAL', `command ${id} has ended already`, false));
      return record({ ...entry, attempts: entry.attempts + 1 });
    },
    resumed: async (id) => {
      const known = journal.lookup(id);
      if (known === undefined || isTerminal(known.status)) return undefined;
      const entry = { ...known, attempts: known.attempts + 1 };
      await journal.record(entry);
      return entry;
    },
    end: async (id, outcome) => {
      const entry = next(id, outcome.status);
      if (entry === undefined) return;
      const { out: _, ...rest } = entry;
      const { code, msg, out, retryS } = outcome;
      await record(
        {
          ...rest,
          ...(code === undefined ? {} : { code }),
          ...(msg === undefined ? {} : { msg }),
          ...(out === undefined ? {} : { out }),
        },
        retryS,
      );
    },
    refuse: async ({ id, op, status, code, msg, retryS, expS }) => {
      const entry: JournalEntry = {
        id,
        op,
        status,
        code,
        msg,
        n: 1,
        ts: nowS(),
        expS,
        digest: '',
        attempts: 0,
      };
      // What may be sent again under its id is not remembered: a remembered end is final.
      if (retryS === undefined) await record(entry);
      else publish(entry, false, retryS);
    },
    repeat: (id) => {
      const entry = journal.lookup(id);
      if (entry !== undefined) publish(entry, true);
    },
    newest: (count) => journal.last(count),
  };
};
