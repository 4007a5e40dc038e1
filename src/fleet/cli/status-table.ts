/** `lockkeeper status` for people: fits 80 columns. */
import { isRecord } from '../../protocol/strict-json.ts';

type Json = Readonly<Record<string, unknown>>;

const COLUMNS = 80;

const record = (value: unknown): Json => (isRecord(value) ? value : {});
const records = (value: unknown): readonly Json[] => (Array.isArray(value) ? value.map(record) : []);
const word = (value: unknown, otherwise = '-'): string =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : otherwise;

const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;

/** Seconds as `12 s`, `3 min`, `5 h`, `2 d`. */
const span = (seconds: number): string => {
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
};

const since = (iso: unknown, nowMs: number): string => {
  const at = typeof iso === 'string' ? Date.parse(iso) : Number.NaN;
  return Number.isNaN(at) ? '' : `for ${span((nowMs - at) / 1000)}`;
};

const left = (iso: unknown, nowMs: number): string => {
  const at = typeof iso === 'string' ? Date.parse(iso) : Number.NaN;
  return Number.isNaN(at) ? '' : `, ${span((at - nowMs) / 1000)} left`;
};

const errorLine = (holder: Json): readonly string[] => {
  const error = record(holder['lastError']);
  return error['code'] === undefined ? [] : [`          ${word(error['code'])}: ${word(error['message'])}`];
};

/** Rows padded to their columns; the last column takes what is left of the line. */
const table = (rows: readonly (readonly string[])[]): readonly string[] => {
  const width = (i: number): number => Math.max(...rows.map((row) => (row[i] ?? '').length));
  const widths = (rows[0] ?? []).map((_, i) => Math.min(width(i), 28));
  return rows.map((row) =>
    cut(
      row
        .map((cell, i) => cut(cell, widths[i] ?? 0).padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
      COLUMNS,
    ),
  );
};

const endpointRow = (e: Json, nowMs: number): readonly string[] => [
  word(e['name']),
  word(e['state']),
  `${word(e['by'])}${left(e['leaseEndsAt'], nowMs)}`,
  word(e['requests'], '0'),
  word(e['inFlight'], '0'),
  word(e['upstream']),
];

const endpointLines = (endpoints: readonly Json[], nowMs: number): readonly string[] => {
  if (endpoints.length === 0) return ['', 'No endpoints.'];
  const rows = table([
    ['ENDPOINT', 'STATE', 'BY', 'REQUESTS', 'OPEN', 'UPSTREAM'],
    ...endpoints.map((e) => endpointRow(e, nowMs)),
  ]);
  const details = endpoints.map((e) => [
    ...(word(e['url'], '') === '' ? [] : [`  ${word(e['url'])}`]),
    ...errorLine(e),
  ]);
  return ['', rows[0] ?? '', ...rows.slice(1).flatMap((row, i) => [row, ...(details[i] ?? [])])];
};

const conditionLines = (conditions: readonly Json[], nowMs: number): readonly string[] =>
  conditions.length === 0
    ? []
    : [
        '',
        ...conditions.map(
          (c) =>
            `${word(c['severity'])} ${word(c['code'])} ${since(c['since'], nowMs)}: ${word(c['message'])}`,
        ),
      ];

/** Breaks a long line between words. */
const wrap = (line: string): readonly string[] => {
  const lines: string[] = [];
  let rest = line;
  while (rest.length > COLUMNS) {
    const at = rest.lastIndexOf(' ', COLUMNS);
    if (at <= 10) break;
    lines.push(rest.slice(0, at));
    rest = `          ${rest.slice(at + 1)}`;
  }
  return [...lines, rest];
};

/** The lines of a status document. Unknown or missing fields are shown as `-`, never refused. */
export const statusLines = (status: Json, nowMs: number): readonly string[] => {
  const link = record(status['link']);
  const session = record(status['session']);
  // What is read out to whoever confirms this device.
  const fingerprint = word(record(status['key'])['fingerprint'], '');
  const protocol =
    link['protocol'] === null || link['protocol'] === undefined ? '' : ` (MQTT ${word(link['protocol'])})`;
  const latency = typeof session['latencyMs'] === 'number' ? `, ${Math.round(session['latencyMs'])} ms` : '';
  const uptime = typeof status['uptimeS'] === 'number' ? `, up ${span(status['uptimeS'])}` : '';
  return [
    `${word(status['device'])}  Lockkeeper ${word(status['version'])}${uptime}${status['locked'] === true ? ', LOCKED' : ''}`,
    `link      ${word(link['state'])} ${since(link['since'], nowMs)}, ${word(link['broker'])}${protocol}`,
    ...(link['state'] === 'connected' ? [] : errorLine(link)),
    `session   ${word(session['state'])} ${since(session['since'], nowMs)}, generation ${word(session['generation'])}${latency}, reconnects ${word(session['reconnects'], '0')}`,
    ...errorLine(session),
    ...(fingerprint === '' ? [] : [`key       ${fingerprint}`]),
    ...endpointLines(records(status['endpoints']), nowMs),
    ...conditionLines(records(status['conditions']), nowMs),
  ].flatMap(wrap);
};
