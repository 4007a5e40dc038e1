/** After a restart, every command that was under way is taken up once more and gets its one end. */
import type { JournalEntry, TokenVault } from './ports.ts';
import type { Outcome, ResultBook } from './result-book.ts';
import { isPoisoned, judgeUnfinished, POISONED, UNTOLD } from './resume.ts';
import type { Snapshot } from './snapshot.ts';
import type { Swaps } from './swaps.ts';
import type { Waiter } from './waiter.ts';

/** How long a command left over from before a restart is watched before its end is called unknown. */
const DEADLINE_MS = 30_000;
/** The same for a swap, which has this long to prove its token, and then the drain. */
const REKEY_DEADLINE_MS = 75_000;

export interface TakeUpOptions {
  readonly book: ResultBook;
  readonly vault: TokenVault;
  readonly swaps: Swaps;
  readonly waiter: Waiter;
  readonly drainMs: number;
  snapshot(): Snapshot;
  /** The command ended the daemon each time it was run: what it asked for is taken back before it is given up. */
  poisoned(entry: JournalEntry): Promise<void>;
}

/** Every command left over counts one more attempt first: one that ends the daemon each time is given up. */
const takeUpOne = async (left: JournalEntry, options: TakeUpOptions): Promise<Outcome> => {
  const entry = (await options.book.resumed(left.id)) ?? left;
  if (isPoisoned(entry)) {
    await options.poisoned(entry);
    return POISONED;
  }
  const end = await options.waiter.until(
    () =>
      judgeUnfinished(entry, options.vault.get(), options.snapshot(), options.swaps.lastRollback()) ??
      undefined,
    entry.op === 'rekey' ? REKEY_DEADLINE_MS + options.drainMs : DEADLINE_MS,
  );
  return end.end === 'met' ? end.value : UNTOLD;
};

/** Resolves when all of them have their end. */
export const takeUp = async (unfinished: readonly JournalEntry[], options: TakeUpOptions): Promise<void> => {
  await Promise.all(
    unfinished.map(async (entry) => {
      await options.book.end(entry.id, await takeUpOne(entry, options));
    }),
  );
};
