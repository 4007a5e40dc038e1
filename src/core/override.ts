/**
 * Commands change desired state through overrides: a `start` or `stop` laid over what file and document declare. An
 * override with an end is a lease. Pure; times are monotonic milliseconds but where the name says otherwise.
 */

export type OverrideCause = 'command' | 'idle';

export interface Override {
  readonly endpoint: string;
  readonly want: 'up' | 'down';
  /** Monotonic milliseconds at which it ends; null holds until the next desired revision or command. */
  readonly endsAt: number | null;
  readonly cause: OverrideCause;
}

/** An override as it is kept on disk: the end in wall-clock time, and what was left of it at that moment. */
export interface SavedOverride {
  readonly endpoint: string;
  readonly want: 'up' | 'down';
  readonly endsAtWallMs: number | null;
  readonly leftMs: number | null;
  readonly cause: OverrideCause;
}

/** Puts `next` in place of whatever override the endpoint had. */
export const withOverride = (all: readonly Override[], next: Override): readonly Override[] => [
  ...all.filter((o) => o.endpoint !== next.endpoint),
  next,
];

export const withoutOverride = (all: readonly Override[], endpoint: string): readonly Override[] =>
  all.filter((o) => o.endpoint !== endpoint);

/** A new desired revision ends everything but running leases. */
export const afterNewRevision = (all: readonly Override[]): readonly Override[] =>
  all.filter((o) => o.endsAt !== null);

/** Drops the overrides that have ended by `now`. Returns the same array when none has. */
export const liveOverrides = (all: readonly Override[], now: number): readonly Override[] =>
  all.some((o) => o.endsAt !== null && o.endsAt <= now)
    ? all.filter((o) => o.endsAt === null || o.endsAt > now)
    : all;

export const saveOverrides = (
  all: readonly Override[],
  now: number,
  wallMs: number,
): readonly SavedOverride[] =>
  all.map((o) => ({
    endpoint: o.endpoint,
    want: o.want,
    cause: o.cause,
    endsAtWallMs: o.endsAt === null ? null : Math.round(wallMs + (o.endsAt - now)),
    leftMs: o.endsAt === null ? null : Math.max(0, Math.round(o.endsAt - now)),
  }));

/**
 * Brings saved overrides back after a restart. A clock that is behind cannot lengthen a lease beyond what was left of
 * it, and one that ran ahead ends it: a lease fails closed.
 */
export const restoreOverrides = (
  saved: readonly SavedOverride[],
  now: number,
  wallMs: number,
): readonly Override[] =>
  saved.flatMap((o): Override[] => {
    const common = { endpoint: o.endpoint, want: o.want, cause: o.cause };
    if (o.endsAtWallMs === null || o.leftMs === null) return [{ ...common, endsAt: null }];
    const leftMs = Math.min(o.leftMs, o.endsAtWallMs - wallMs);
    return leftMs <= 0 ? [] : [{ ...common, endsAt: now + leftMs }];
  });
