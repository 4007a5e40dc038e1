/**
 * Weekly windows: `mon-fri 08:00-17:00 Europe/Berlin`. Days are `mon` to `sun`, joined by `-` and `,`, or `daily`;
 * an end at or before the start is on the next day; `24:00` is midnight at the day's end; without a zone the device's
 * own counts. Each day's window opens once, also on the nights when clocks change.
 */
import { failed, fault, ok, type Result } from './errors.ts';
import { instantOf, isZone, localDate } from './zone.ts';

/** One window taken apart. Minutes count from midnight; `endMinute` may lie beyond 1440. */
export interface Window {
  /** 0 is Sunday. */
  readonly days: readonly number[];
  readonly startMinute: number;
  readonly endMinute: number;
  /** IANA name, or empty for the device's own. */
  readonly zone: string;
}

/** Whether any window is open, and the next instant (epoch milliseconds) at which that may change; null when never. */
export interface WindowState {
  readonly open: boolean;
  readonly changesAtMs: number | null;
}

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const DAY_MINUTES = 1440;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const SHAPE = /^([a-z,-]+) ([\d:]+)-([\d:]+)(?: (\S+))?$/;

const refuse = (why: string): Result<never> =>
  failed(
    fault(
      'BAD_ARGS',
      `${why}; write a window like mon-fri 08:00-17:00 or sat,sun 22:00-02:00 Europe/Berlin`,
      false,
    ),
  );

/** `mon-fri`, `sat`: all its days, `fri-mon` going over the week's end; null for no day. */
const dayRange = (text: string): readonly number[] | null => {
  const ends = text.split('-').map((day) => DAYS.indexOf(day));
  const [first = -1, last = first] = ends;
  if (ends.length > 2 || first < 0 || last < 0) return null;
  return Array.from({ length: ((last - first + 7) % 7) + 1 }, (_, index) => (first + index) % 7);
};

const parseDays = (text: string): readonly number[] | null => {
  if (text === 'daily') return DAYS.map((_, day) => day);
  const ranges = text.split(',').map(dayRange);
  const days = ranges.flatMap((range) => range ?? []);
  return ranges.includes(null) ? null : [...new Set(days)];
};

const parseMinutes = (text: string): number | null => {
  const [, hours = '', minutes = ''] = /^(\d\d):(\d\d)$/.exec(text) ?? [];
  if (hours === '' || Number(minutes) > 59) return null;
  const total = Number(hours) * 60 + Number(minutes);
  return total <= DAY_MINUTES ? total : null;
};

/** Reads one window. The fault's message begins with a verb and names a zone that is not known. */
export const parseWindow = (text: string): Result<Window> => {
  const [, dayText = '', startText = '', endText = '', zone = ''] = SHAPE.exec(text.trim()) ?? [];
  if (dayText === '') return refuse('is not DAYS START-END');
  const days = parseDays(dayText);
  if (days === null) return refuse('names a day that is not mon to sun or daily');
  const start = parseMinutes(startText);
  const end = parseMinutes(endText);
  if (start === null || end === null || start === DAY_MINUTES)
    return refuse('has a time that is not 00:00 to 24:00');
  if (start === end) return refuse('ends when it begins (use 00:00-24:00 for a whole day)');
  if (zone !== '' && !isZone(zone))
    return refuse(`names the time zone ${JSON.stringify(zone)}, which is not known here`);
  return ok({ days, startMinute: start, endMinute: end > start ? end : end + DAY_MINUTES, zone });
};

interface Span {
  readonly from: number;
  readonly to: number;
}

/** The window's openings that begin from two days before `wallMs` to eight days after it. */
const spansAround = (window: Window, wallMs: number, zone: string): readonly Span[] => {
  const { year, month, day } = localDate(wallMs, zone);
  return Array.from({ length: 11 }, (_, index) => {
    const noon = new Date(Date.UTC(year, month - 1, day + index - 2, 12));
    if (!window.days.includes(noon.getUTCDay())) return [];
    const date = { year: noon.getUTCFullYear(), month: noon.getUTCMonth() + 1, day: noon.getUTCDate() };
    const start = instantOf(date, window.startMinute, zone);
    const end = instantOf(date, window.endMinute, zone);
    // A window that lies whole in the hour that is not there keeps its length.
    const lengthMs = (window.endMinute - window.startMinute) * MINUTE_MS;
    const to = start.isInGap && end.isInGap ? start.ms + lengthMs : end.ms;
    return to > start.ms ? [{ from: start.ms, to }] : [];
  }).flat();
};

/** Judges windows at a wall-clock time; no windows at all are always open. `localZone` stands where one names none. */
export const windowsAt = (windows: readonly Window[], wallMs: number, localZone: string): WindowState => {
  if (windows.length === 0) return { open: true, changesAtMs: null };
  const spans = windows.flatMap((window) =>
    spansAround(window, wallMs, window.zone === '' ? localZone : window.zone),
  );
  const open = (at: number): boolean => spans.some(({ from, to }) => from <= at && at < to);
  const isOpen = open(wallMs);
  const edges = spans
    .flatMap(({ from, to }) => [from, to])
    .filter((at) => at > wallMs && at <= wallMs + 8 * DAY_MS);
  const changes = edges.filter((at) => open(at) !== isOpen);
  return { open: isOpen, changesAtMs: changes.length === 0 ? null : Math.min(...changes) };
};
