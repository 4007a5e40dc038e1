/**
 * Which filters to subscribe, in which packets, when a broker refuses some. Pure.
 *
 * Most brokers say no in SUBACK. Some close the connection instead, and would do so for ever: after such a close the
 * filters go out one by one, a filter that ended two connections is left out, and tried again after ten minutes, then
 * after ever longer ones.
 */

/** Filters in one SUBSCRIBE at most (AWS IoT takes 8). */
const BATCH = 8;
/** A broker may be restarted in the very moment of a SUBSCRIBE, so one close proves nothing. */
const CLOSES_TO_BELIEVE = 2;
const RETRY_FIRST_MS = 600_000;
const RETRY_CAP_MS = 6 * 3_600_000;

export interface HuntState {
  /** One filter per packet from now on, until all were taken once. */
  readonly isCareful: boolean;
  /** Connections that ended while this filter alone was asked for. */
  readonly suspects: Readonly<Record<string, number>>;
  /** Filters left out because the broker closes on them. */
  readonly closers: Readonly<Record<string, { readonly retryAtMs: number; readonly times: number }>>;
  /** Filters refused in SUBACK, with the code. */
  readonly refused: Readonly<Record<string, number>>;
}

export const INITIAL_HUNT: HuntState = { isCareful: false, suspects: {}, closers: {}, refused: {} };

const without = <T>(record: Readonly<Record<string, T>>, key: string): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(record).filter(([k]) => k !== key));

/** The SUBSCRIBE packets for a new connection, in order: suspects last, closers left out. */
export const planSubscriptions = (
  state: HuntState,
  filters: readonly string[],
): readonly (readonly string[])[] => {
  const wanted = filters.filter((f) => state.closers[f] === undefined);
  if (!state.isCareful) {
    return Array.from({ length: Math.ceil(wanted.length / BATCH) }, (_, i) =>
      wanted.slice(i * BATCH, (i + 1) * BATCH),
    );
  }
  const suspicion = (f: string): number => state.suspects[f] ?? 0;
  return [...wanted].sort((a, b) => suspicion(a) - suspicion(b)).map((f) => [f]);
};

/** The broker closed while the answer to `batch` was due. `now` is monotonic milliseconds. */
export const closedDuring = (state: HuntState, batch: readonly string[], now: number): HuntState => {
  const [filter] = batch;
  if (filter === undefined) return state;
  if (batch.length > 1) return { ...state, isCareful: true };
  const known = state.closers[filter];
  const closes = (state.suspects[filter] ?? 0) + 1;
  if (known === undefined && closes < CLOSES_TO_BELIEVE) {
    return { ...state, isCareful: true, suspects: { ...state.suspects, [filter]: closes } };
  }
  const times = (known?.times ?? 0) + 1;
  const retryAtMs = now + Math.min(RETRY_CAP_MS, RETRY_FIRST_MS * 2 ** (times - 1));
  return {
    ...state,
    isCareful: true,
    suspects: without(state.suspects, filter),
    closers: { ...state.closers, [filter]: { retryAtMs, times } },
  };
};

/** SUBACK came: `codes` belong to `batch`, 0x80 and above say no. */
export const answered = (state: HuntState, batch: readonly string[], codes: readonly number[]): HuntState => {
  let { suspects, closers, refused } = state;
  batch.forEach((filter, i) => {
    const code = codes[i] ?? 0x80;
    suspects = without(suspects, filter);
    closers = without(closers, filter);
    refused = code >= 0x80 ? { ...refused, [filter]: code } : without(refused, filter);
  });
  return { ...state, suspects, closers, refused };
};

/** Every packet of a connection was answered: batches may be used again. */
export const allAnswered = (state: HuntState): HuntState => ({ ...state, isCareful: false, suspects: {} });

/** Filters whose time for another try on the standing link has come, and when that is for the next one (null: never). */
export const dueRetries = (
  state: HuntState,
  now: number,
): { readonly due: readonly string[]; readonly nextAtMs: number | null } => {
  const entries = Object.entries(state.closers);
  const due = entries.filter(([, c]) => c.retryAtMs <= now).map(([f]) => f);
  const later = entries.filter(([, c]) => c.retryAtMs > now).map(([, c]) => c.retryAtMs);
  return { due, nextAtMs: later.length === 0 ? null : Math.min(...later) };
};

/** Drops what is known about filters that are no longer wanted. */
export const forgetUnwanted = (state: HuntState, filters: readonly string[]): HuntState => {
  const wanted = new Set(filters);
  const keep = <T>(record: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
    Object.fromEntries(Object.entries(record).filter(([f]) => wanted.has(f)));
  return {
    ...state,
    suspects: keep(state.suspects),
    closers: keep(state.closers),
    refused: keep(state.refused),
  };
};

/** All filters that the broker does not take, whichever way it says so. */
export const refusedFilters = (state: HuntState): readonly string[] => [
  ...Object.keys(state.refused),
  ...Object.keys(state.closers),
];
