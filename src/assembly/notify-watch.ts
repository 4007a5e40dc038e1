/** Feeds the service manager's watchdog, and keeps the line that `systemctl status` shows. */
import type { Logger } from 'pino';
import type { Clock } from '../core/clock.ts';
import type { Notifier } from './notify.ts';

const STATUS_EVERY_MS = 10_000;

/** The parts of a snapshot that make the line. */
interface StatusParts {
  readonly session: { readonly state: string };
  readonly endpoints: readonly { readonly state: string }[];
  readonly conditions: readonly { readonly code: string }[];
}

/** `session connected, 2 of 3 endpoints up; UPSTREAM_DOWN`. */
export const statusLine = ({ session, endpoints, conditions }: StatusParts): string => {
  const up = endpoints.filter(({ state }) => state === 'up').length;
  const codes = [...new Set(conditions.map(({ code }) => code))];
  return [`session ${session.state}, ${up} of ${endpoints.length} endpoints up`, ...codes].join('; ');
};

export interface WatchOptions {
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly log: Logger;
  /** What no longer moves; null while all does. */
  stalled(): string | null;
  status(): string;
}

/**
 * Sends a beat three times in every interval of the watchdog, from the loop's own thread and only while nothing is
 * stuck. Returns what ends it.
 */
export const feedWatchdog = ({ notifier, clock, log, stalled, status }: WatchOptions): (() => void) => {
  if (!notifier.isOn) return () => undefined;
  const everyMs = notifier.watchdogMs === null ? STATUS_EVERY_MS : notifier.watchdogMs / 3;
  let lastLine = '';
  let cancel = (): void => undefined;
  const beat = (): void => {
    cancel = clock.after(everyMs, beat);
    const stuck = stalled();
    if (stuck !== null) {
      log.error({ stuck }, 'the watchdog is not fed');
      return;
    }
    const line = status();
    const isNews = line !== lastLine;
    lastLine = line;
    if (notifier.watchdogMs === null && !isNews) return;
    notifier.send({
      ...(notifier.watchdogMs === null ? {} : { WATCHDOG: 1 }),
      ...(isNews ? { STATUS: line } : {}),
    });
  };
  beat();
  return () => cancel();
};
