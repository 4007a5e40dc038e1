/**
 * Active endpoint hours: ngrok bills an endpoint for each clock hour in which it carried traffic. Counted here from the
 * relay's last byte, so it is an estimate; kept over restarts. Pure.
 */

/** Hours of one endpoint. */
export interface ActiveHours {
  /** Hours in the calendar month (UTC) of `lastHour`. */
  readonly month: number;
  readonly total: number;
  /** The newest hour that was counted, in hours since 1970. */
  readonly lastHour: number;
}

const HOUR_MS = 3_600_000;
/** Names come from documents, which may change for ever. */
const MAX_NAMES = 64;

const monthOf = (hour: number): string => new Date(hour * HOUR_MS).toISOString().slice(0, 7);

export interface Activity {
  readonly name: string;
  /** Epoch milliseconds of the last byte; null before the first. */
  readonly lastActiveMs: number | null;
}

/** The record after a look at the endpoints; the same object when nothing is new, so that nothing need be written. */
export const countActiveHours = (
  before: Readonly<Record<string, ActiveHours>>,
  seen: readonly Activity[],
): Readonly<Record<string, ActiveHours>> => {
  let after = before;
  for (const { name, lastActiveMs } of seen) {
    if (lastActiveMs === null) continue;
    const hour = Math.floor(lastActiveMs / HOUR_MS);
    const old = after[name];
    if (old !== undefined && hour <= old.lastHour) continue;
    const isSameMonth = old !== undefined && monthOf(old.lastHour) === monthOf(hour);
    after = {
      ...after,
      [name]: {
        month: (isSameMonth ? old.month : 0) + 1,
        total: (old?.total ?? 0) + 1,
        lastHour: hour,
      },
    };
  }
  const names = Object.keys(after);
  if (names.length <= MAX_NAMES) return after;
  // The ones unused longest are forgotten.
  return Object.fromEntries(
    Object.entries(after)
      .toSorted(([, a], [, b]) => b.lastHour - a.lastHour)
      .slice(0, MAX_NAMES),
  );
};

/** The hours as they count now: those of an earlier month are not this month's. */
export const hoursThisMonth = (
  hours: Readonly<Record<string, ActiveHours>>,
  wallMs: number,
): Readonly<Record<string, ActiveHours>> => {
  const month = monthOf(Math.floor(wallMs / HOUR_MS));
  return Object.fromEntries(
    Object.entries(hours).map(([name, h]) => [name, monthOf(h.lastHour) === month ? h : { ...h, month: 0 }]),
  );
};
