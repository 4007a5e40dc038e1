/** Local times of a time zone as instants, over the nights when clocks change. Pure: the zone is an input. */

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const formatters = new Map<string, Intl.DateTimeFormat>();

const formatterOf = (zone: string): Intl.DateTimeFormat => {
  const known = formatters.get(zone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formatters.set(zone, made);
  return made;
};

/** True for a zone that this system knows. */
export const isZone = (zone: string): boolean => {
  try {
    formatterOf(zone);
    return true;
  } catch {
    return false;
  }
};

/** A local date, months counted from 1. */
export interface LocalDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

const localParts = (ms: number, zone: string): Readonly<Record<string, number>> =>
  Object.fromEntries(
    formatterOf(zone)
      .formatToParts(ms)
      .map(({ type, value }) => [type, Number(value)]),
  );

/** The local date at an instant. */
export const localDate = (ms: number, zone: string): LocalDate => {
  const { year = 0, month = 0, day = 0 } = localParts(ms, zone);
  return { year, month, day };
};

/** How far local time is ahead of UTC at an instant, in milliseconds. */
const offsetAt = (ms: number, zone: string): number => {
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = localParts(ms, zone);
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000;
};

/** The first instant in (`from`, `to`] at which the offset is no longer that of `from`, to the second. */
const changeBetween = (from: number, to: number, zone: string): number => {
  const before = offsetAt(from, zone);
  let low = Math.floor(from / 1000);
  let high = Math.ceil(to / 1000);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(middle * 1000, zone) === before) low = middle;
    else high = middle;
  }
  return high * 1000;
};

/** The instant of a local time. One that comes twice is the first; one that is left out is the moment after the gap. */
export interface LocalInstant {
  readonly ms: number;
  readonly isInGap: boolean;
}

/** Finds the instant at which clocks in `zone` show `minutes` after midnight of a date; 1440 and more mean later days. */
export const instantOf = (date: LocalDate, minutes: number, zone: string): LocalInstant => {
  const asUtc = Date.UTC(date.year, date.month - 1, date.day) + minutes * MINUTE_MS;
  const offsets = [offsetAt(asUtc - DAY_MS, zone), offsetAt(asUtc + DAY_MS, zone)];
  const fits = offsets.map((offset) => asUtc - offset).filter((ms) => offsetAt(ms, zone) === asUtc - ms);
  if (fits.length > 0) return { ms: Math.min(...fits), isInGap: false };
  const around = offsets.map((offset) => asUtc - offset);
  return { ms: changeBetween(Math.min(...around), Math.max(...around), zone), isInGap: true };
};
