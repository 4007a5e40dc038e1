/** The fleet for people: one line a device, what is wrong below. Pure. */
import { isDeviceId } from '../../protocol/names.ts';
import type { DeviceRow } from '../watch/device-row.ts';
import type { FleetSummary } from '../watch/summary.ts';

const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;

/** Seconds as `12 s`, `3 min`, `5 h`, `2 d`. */
export const spanText = (seconds: number): string => {
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
};

const endpointsText = ({ endpoints }: DeviceRow): string => {
  const up = endpoints.filter(({ state }) => state === 'up').length;
  return endpoints.length === 0 ? '-' : `${up}/${endpoints.length}`;
};

const tokenAge = ({ credentials }: DeviceRow): string => {
  const [newest] = credentials;
  return newest?.ageS === undefined || newest.ageS === null ? '-' : spanText(newest.ageS);
};

/** What a device says of itself may hold anything: control characters never reach a terminal. */
const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  text.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');

const problemText = ({ conditions }: DeviceRow): string => {
  const [first] = conditions;
  if (first === undefined) return '';
  const more = conditions.length > 1 ? ` (+${conditions.length - 1})` : '';
  return `${first.code}${more}: ${first.message}`;
};

const HEAD = ['DEVICE', 'SITE', 'STATE', 'SESSION', 'UP', 'GEN', 'TOKEN', 'VERSION', 'PROBLEM'];

const cells = (row: DeviceRow): readonly string[] =>
  [
    row.device,
    row.site ?? '-',
    row.state,
    row.session?.state ?? '-',
    endpointsText(row),
    row.generation === null ? '-' : String(row.generation),
    tokenAge(row),
    row.versions?.agent ?? '-',
    problemText(row),
  ].map(printable);

const WIDEST = 28;

/** The table's lines; `width` cuts them, null does not. */
export const tableLines = (rows: readonly DeviceRow[], width: number | null): readonly string[] => {
  const all = [HEAD, ...rows.map(cells)];
  const last = HEAD.length - 1;
  const widths = HEAD.map((_, i) =>
    all.reduce((most, row) => Math.max(most, Math.min(WIDEST, (row[i] ?? '').length)), 0),
  );
  return all.map((row) => {
    const line = row
      .map((cell, i) => (i === last ? cell : cut(cell, widths[i] ?? 0).padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
    return width === null ? line : cut(line, width);
  });
};

/** The counts in one line. */
export const countsLine = ({ total, counts }: Pick<FleetSummary, 'total' | 'counts'>): string => {
  const parts = (['online', 'stuck', 'offline', 'unknown'] as const)
    .filter((state) => counts[state] > 0)
    .map((state) => `${counts[state]} ${state}`);
  return `${total} device(s)${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`;
};

/** Everything `fleet status` prints. */
export const summaryLines = (
  summary: FleetSummary,
  rows: readonly DeviceRow[],
  width: number | null,
): readonly string[] => [
  ...(rows.length === 0 ? [] : [...tableLines(rows, width), '']),
  ...summary.conditions.map(({ severity, code, message }) => printable(`${severity} ${code}: ${message}`)),
  countsLine(summary),
];

/** One device's change as a line of a log. */
export const changeLine = (row: DeviceRow, nowMs: number): string => {
  const name = isDeviceId(row.device) ? row.device : '?';
  return printable(
    `${new Date(nowMs).toISOString()}  ${name}  ${row.state}  session ${row.session?.state ?? '-'}  up ${endpointsText(row)}${problemText(row) === '' ? '' : `  ${problemText(row)}`}`,
  );
};
