/** After a restart, every command that was under way is taken up once more and gets its one end. */
import { fault } from '../core/errors.ts';
import type { StartArgs } from '../protocol/command-schema.ts';
import type { CommandJournal, JournalEntry, TokenVault } from './ports.ts';
import { endedWith, type Outcome, type ResultBook } from './result-book.ts';
import { askedOf, isPoisoned, judgeUnfinished, POISONED, UNTOLD } from './resume.ts';
import type { Snapshot } from './snapshot.ts';
import type { Swaps } from './swaps.ts';
import type { Waiter } from './waiter.ts';

/** How long a command left over from before a restart is watched before its end is called unknown. */
const DEADLINE_MS = 30_000;
/** The same for a swap, which has this long to prove its token, and then the drain. */
const REKEY_DEADLINE_MS = 75_000;
/** Ends of the time before that are told once more: the last words may have been lost with the process. */
const REPEATED_ENDS = 8;
const REPEATED_FOR_S = 3600;

export interface TakeUpOptions {
  readonly journal: CommandJournal;
  readonly book: ResultBook;
  readonly vault: TokenVault;
  readonly swaps: Swaps;
  readonly waiter: Waiter;
  readonly drainMs: number;
  nowS(): number;
  snapshot(): Snapshot;
  /** Epoch seconds at which the document in force was accepted; 0 without one. It ends every command before it. */
  documentS(): number;
  layAgain(op: 'start' | 'stop', args: StartArgs, agedS: number): Promise<void>;
  /** The command ended the daemon each time it was run: what it asked for is taken back before it is given up. */
  poisoned(entry: JournalEntry): Promise<void>;
}

const OVERTAKEN = endedWith(
  'superseded',
  fault('SUPERSEDED', 'A newer command or document took its place.', false),
);

/** Lays down what the command asked for, as the disk may not have it. The end, where there is nothing more to watch. */
const begin = async (left: JournalEntry, options: TakeUpOptions): Promise<Outcome | null> => {
  // Every command left over counts one more attempt first: one that ends the daemon each time is given up.
  const entry = (await options.book.resumed(left.id)) ?? left;
  if (isPoisoned(entry)) {
    await options.poisoned(entry);
    return POISONED;
  }
  const asked = askedOf(entry);
  if (asked === null) return null;
  // Of two commands the older one has its end on disk first; a document may have been taken just before the end.
  if (options.documentS() > entry.ts) return OVERTAKEN;
  await options.layAgain(asked.op, asked.args, Math.max(0, options.nowS() - entry.ts));
  return null;
};

const watch = async (entry: JournalEntry, options: TakeUpOptions): Promise<Outcome> => {
  const end = await options.waiter.until(
    () =>
      judgeUnfinished(entry, options.vault.get(), options.snapshot(), options.swaps.lastRollback()) ??
      undefined,
    entry.op === 'rekey' ? REKEY_DEADLINE_MS + options.drainMs : DEADLINE_MS,
  );
  return end.end === 'met' ? end.value : UNTOLD;
};

/**
 * Resolves, before anything is planned, when all that was asked for is laid down again; the ends are watched for and
 * told after that.
 */
export const takeUp = async (options: TakeUpOptions): Promise<void> => {
  const unfinished = options.journal.unfinished();
  for (const entry of options.journal.last(REPEATED_ENDS).toReversed())
    if (options.nowS() - entry.ts <= REPEATED_FOR_S) options.book.repeat(entry.id);
  for (const entry of unfinished) {
    const end = await begin(entry, options);
    void (end === null ? watch(entry, options) : Promise.resolve(end)).then((outcome) =>
      options.book.end(entry.id, outcome),
    );
  }
};
