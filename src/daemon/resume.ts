/** After a restart: every command that was under way gets its one terminal status, judged by what is on disk. */
import { fault } from '../core/errors.ts';
import { isPoison } from './intake.ts';
import type { JournalEntry, VaultState } from './ports.ts';
import { endedWith, type Outcome, succeeded } from './result-book.ts';
import type { Snapshot } from './snapshot.ts';

const LOST = fault(
  'INTERNAL',
  'The daemon was restarted while the command ran; whether it took effect is not known.',
  false,
);

/** Null while it cannot be told yet. */
export const judgeUnfinished = (
  entry: JournalEntry,
  vault: VaultState,
  snapshot: Snapshot,
): Outcome | null => {
  if (isPoison(entry.attempts))
    return endedWith(
      'failed',
      fault('INTERNAL', 'This message ended the daemon twice and is not run again (POISON).', false),
    );
  const ep = entry.out?.['ep'];
  const gen = entry.out?.['gen'];
  if (entry.op === 'rekey' && typeof gen === 'number') {
    const held = vault[vault.current]?.generation ?? 0;
    if (held === gen && vault.swap?.phase !== 'staged') return succeeded({ gen });
    if (vault.swap !== null) return null;
    return endedWith(
      'failed',
      fault('CANCELLED', 'The daemon was restarted during the swap; the old authtoken stays in use.', true),
      { gen: held },
    );
  }
  if ((entry.op === 'start' || entry.op === 'stop') && typeof ep === 'string') {
    const found = snapshot.endpoints.filter((e) => ep === '*' || e.name === ep);
    const isDone = found.every((e) => (entry.op === 'start' ? e.state === 'up' : e.state !== 'up'));
    return isDone && found.length > 0 ? succeeded() : null;
  }
  if (entry.op === 'ping' || entry.op === 'report' || entry.op === 'resync') return succeeded();
  return endedWith('unknown', LOST);
};

export const UNTOLD: Outcome = endedWith('unknown', LOST);
