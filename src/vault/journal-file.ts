/** One copy of the journal on disk: a header with its generation, then a line for each step. */

import { decodeLine, encodeLine } from './checked-line.ts';
import { type Disk, errnoOf } from './disk.ts';
import { type JournalEntry, readEntry } from './journal-entry.ts';

/** A copy as found. `lines` counts the good ones after the header; 0 generation means there was no copy. */
export interface JournalCopy {
  readonly generation: number;
  readonly entries: readonly JournalEntry[];
  readonly lines: number;
  /** `torn`: only the last line is cut, as a power cut in mid-append leaves it. */
  readonly state: 'good' | 'torn' | 'bad' | 'missing';
}

const MISSING: JournalCopy = { generation: 0, entries: [], lines: 0, state: 'missing' };

/** The text of a whole copy. */
export const encodeJournal = (generation: number, entries: Iterable<JournalEntry>): string =>
  [encodeLine({ journal: 1, generation }), ...[...entries].map(encodeLine)].join('');

const generationOf = (line: string): number | undefined => {
  const header = decodeLine(line) as { journal?: unknown; generation?: unknown } | undefined;
  return header?.journal === 1 && typeof header.generation === 'number' ? header.generation : undefined;
};

/** Reads a copy, whatever state it is in: every line that is whole counts. */
export const readJournalCopy = async (path: string, disk: Disk): Promise<JournalCopy> => {
  let text: string;
  try {
    text = Buffer.from(await disk.read(path)).toString('utf8');
  } catch (error) {
    return errnoOf(error) === 'ENOENT' ? MISSING : { ...MISSING, state: 'bad' };
  }
  const [head = '', ...rest] = text.split('\n');
  const generation = generationOf(head);
  const tail = rest.pop() ?? '';
  // Without a header the first line may still be an entry of a copy whose beginning is damaged.
  const lines = (generation === undefined ? [head, ...rest] : rest).filter((line) => line !== '');
  const entries = lines.map((line) => readEntry(decodeLine(line)));
  const good = entries.filter((entry) => entry !== undefined);
  const isWhole = generation !== undefined && good.length === lines.length;
  return {
    generation: generation ?? 0,
    entries: good,
    lines: good.length,
    state: isWhole ? (tail === '' ? 'good' : 'torn') : 'bad',
  };
};
