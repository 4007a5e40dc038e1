/** After a restart: every command that was under way gets its one terminal status, judged by what is on disk. */
import { type Fault, fault } from '../core/errors.ts';
import type { StartArgs } from '../protocol/command-schema.ts';
import type { JournalEntry, VaultState } from './ports.ts';
import { endedWith, type Outcome, succeeded } from './result-book.ts';
import { isClosed, isOpen, type Snapshot } from './snapshot.ts';

const LOST = fault(
  'INTERNAL',
  'The daemon was restarted while the command ran; whether it took effect is not known.',
  false,
);

const SWAP_LOST = fault(
  'CANCELLED',
  'The daemon was restarted during the swap; the old authtoken stays in use.',
  true,
);

/** Run once, taken up twice after the daemon had ended: whatever it asks for is not tried a third time. */
const POISON_ATTEMPTS = 3;

/** A swap is never given up half way: the vault ends it, one way or the other. */
export const isPoisoned = (entry: JournalEntry): boolean =>
  entry.op !== 'rekey' && entry.attempts >= POISON_ATTEMPTS;

export const POISONED: Outcome = endedWith(
  'failed',
  fault('INTERNAL', 'This command ended the daemon twice and is not run again (POISON).', false),
);

/** What a `start` or `stop` left over asked for; null for every other command. */
export const askedOf = (
  entry: JournalEntry,
): { readonly op: 'start' | 'stop'; readonly args: StartArgs } | null => {
  const { ep, lease_s: leaseS } = entry.out ?? {};
  if ((entry.op !== 'start' && entry.op !== 'stop') || typeof ep !== 'string') return null;
  return { op: entry.op, args: typeof leaseS === 'number' ? { ep, lease_s: leaseS } : { ep } };
};

/** Endpoints that a command left over asked for. */
export const targetsOf = (entry: JournalEntry, all: Iterable<string>): readonly string[] => {
  const ep = entry.out?.['ep'];
  if (typeof ep !== 'string') return [];
  return ep === '*' ? [...all] : [ep];
};

/** Null while it cannot be told yet. `rolledBack`: why the swap that was found half done was given up. */
export const judgeUnfinished = (
  entry: JournalEntry,
  vault: VaultState,
  snapshot: Snapshot,
  rolledBack: Fault | null,
): Outcome | null => {
  const ep = entry.out?.['ep'];
  const gen = entry.out?.['gen'];
  if (entry.op === 'rekey' && typeof gen === 'number') {
    const held = vault[vault.current]?.generation ?? 0;
    if (held === gen && vault.swap?.phase !== 'staged') return succeeded({ gen });
    if (vault.swap !== null) return null;
    return endedWith('failed', rolledBack ?? SWAP_LOST, { gen: held });
  }
  if ((entry.op === 'start' || entry.op === 'stop') && typeof ep === 'string') {
    const found = snapshot.endpoints.filter((e) => ep === '*' || e.name === ep);
    const refused = found.find((e) => e.state === 'failed' && e.lastError !== null);
    if (entry.op === 'start' && refused?.lastError != null)
      return endedWith('failed', refused.lastError, { ep: refused.name });
    const isDone = found.every(entry.op === 'start' ? isOpen : isClosed);
    return isDone && found.length > 0 ? succeeded() : null;
  }
  if (entry.op === 'ping' || entry.op === 'report' || entry.op === 'resync') return succeeded();
  return endedWith('unknown', LOST);
};

export const UNTOLD: Outcome = endedWith('unknown', LOST);
