/** A table on a terminal that is drawn again and again in the same place. */
import type { DeviceRow } from '../watch/device-row.ts';
import { countsLine, tableLines } from './fleet-table.ts';

const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

const rank = ({ state, conditions }: DeviceRow): number => {
  if (state === 'stuck') return 0;
  if (state === 'offline') return 1;
  return conditions.some(({ severity }) => severity !== 'info') ? 2 : 3;
};

/** Rows with trouble first; those that do not fit are counted. Pure. */
export const liveLines = (
  rows: readonly DeviceRow[],
  isConnected: boolean,
  size: { readonly columns: number; readonly rows: number },
): readonly string[] => {
  const counts = { online: 0, offline: 0, stuck: 0, unknown: 0 };
  for (const { state } of rows) counts[state] += 1;
  const sorted = rows.toSorted((a, b) => rank(a) - rank(b) || (a.device < b.device ? -1 : 1));
  const room = Math.max(1, size.rows - 4);
  const shown = sorted.slice(0, room);
  const head = `${countsLine({ total: rows.length, counts })}${isConnected ? '' : '  NO LINK TO THE BROKER: what follows may be old'}`;
  return [
    head,
    '',
    ...tableLines(shown, size.columns),
    ...(shown.length < sorted.length ? [`… and ${sorted.length - shown.length} more`] : []),
  ];
};

export const createLiveTable = (stdout: NodeJS.WritableStream) => {
  stdout.write(ENTER);
  return {
    draw(rows: readonly DeviceRow[], isConnected: boolean): void {
      const size = { columns: process.stdout.columns ?? 100, rows: process.stdout.rows ?? 30 };
      const lines = liveLines(rows, isConnected, size);
      stdout.write(`${HOME}${lines.map((line) => `${line}${CLEAR_LINE}`).join('\n')}${CLEAR_BELOW}`);
    },
    end(): void {
      stdout.write(LEAVE);
    },
  };
};
