/** Closes endpoints that nobody used for as long as their `idleCloseS` says. */
import type { Clock } from '../core/clock.ts';
import type { EndpointSpec } from '../core/endpoint.ts';
import type { Override } from '../core/override.ts';
import type { Snapshot } from './snapshot.ts';

export interface IdleOptions {
  readonly clock: Clock;
  declared(): ReadonlyMap<string, EndpointSpec>;
  snapshot(): Snapshot;
  /** Lays overrides that take the endpoints down. */
  close(overrides: readonly Override[]): void;
}

export interface IdleWatch {
  /** State or counters changed, or a command asked for the endpoints: `asked` begins their time anew. */
  look(): void;
  asked(names: readonly string[]): void;
  stop(): void;
}

/** Time counts from the last byte in either direction, or from when the endpoint opened or was asked for. */
export const createIdleWatch = (options: IdleOptions): IdleWatch => {
  const { clock } = options;
  /** Monotonic milliseconds since when each endpoint with an idle time is open. */
  const openSince = new Map<string, number>();
  /** Told to close already; they stay up until their listener is closed. */
  const closing = new Set<string>();
  let cancel: () => void = () => undefined;

  const look = (): void => {
    cancel();
    cancel = () => undefined;
    const specs = options.declared();
    if (![...specs.values()].some((spec) => spec.idleCloseS > 0)) return;
    const now = clock.now();
    const overdue: Override[] = [];
    let nextAt = Number.POSITIVE_INFINITY;
    for (const { name, state, counters } of options.snapshot().endpoints) {
      const spec = specs.get(name);
      // Without the relay nothing is counted, and an endpoint in use would look idle.
      if (state !== 'up' || spec === undefined || spec.idleCloseS === 0 || spec.metering === 'off') {
        openSince.delete(name);
        closing.delete(name);
        continue;
      }
      if (closing.has(name)) continue;
      const since = openSince.get(name) ?? now;
      openSince.set(name, since);
      const usedAt =
        counters.lastActiveMs === null ? since : now - Math.max(0, clock.wall() - counters.lastActiveMs);
      const closesAt = Math.max(since, usedAt) + spec.idleCloseS * 1000;
      if (closesAt <= now) overdue.push({ endpoint: name, want: 'down', endsAt: null, cause: 'idle' });
      else nextAt = Math.min(nextAt, closesAt);
    }
    for (const { endpoint } of overdue) closing.add(endpoint);
    if (overdue.length > 0) options.close(overdue);
    if (nextAt !== Number.POSITIVE_INFINITY) cancel = clock.after(nextAt - now + 1, look);
  };

  return {
    look,
    asked: (names) => {
      for (const name of names) {
        closing.delete(name);
        if (openSince.has(name)) openSince.set(name, clock.now());
      }
    },
    stop: () => cancel(),
  };
};
