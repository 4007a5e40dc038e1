/** Health as coded conditions: each has a code, a severity, a time and a sentence. Absence means healthy. */
import type { FaultCode } from './errors.ts';

export type Severity = 'info' | 'warning' | 'error';

/** Codes that only conditions use, beside the fault codes. */
export type ConditionCode =
  | FaultCode
  | 'EDGE_UNREACHABLE'
  | 'TOKEN_MISSING'
  | 'STORE_DEGRADED'
  | 'VAULT_SEALED'
  | 'SLOT_RECOVERED'
  | 'CLOCK_JUMP'
  | 'PARKED'
  | 'SATURATED'
  | 'SWAP_IN_PROGRESS'
  | 'BROKER_MODE';

/** A condition as it holds now; `since` is added by whoever keeps them. */
export interface ConditionNow {
  readonly code: ConditionCode;
  readonly severity: Severity;
  readonly message: string;
  readonly endpoint?: string;
}

export interface Condition extends ConditionNow {
  /** Epoch milliseconds. */
  readonly sinceMs: number;
  /** Monotonic milliseconds at which its cause went away; null while it holds. */
  readonly goneAt: number | null;
}

/**
 * What may come and go many times a second stands until its cause has been away for so long: otherwise an upstream that
 * fails every other time would fill the day's events and reports.
 */
const LINGER_MS: Partial<Record<ConditionCode, number>> = { UPSTREAM_DOWN: 10_000 };

const keyOf = (c: ConditionNow): string => `${c.code} ${c.endpoint ?? ''}`;

export interface ConditionChange {
  readonly conditions: readonly Condition[];
  readonly set: readonly Condition[];
  readonly cleared: readonly Condition[];
  /** Monotonic milliseconds of the next look, for one that is about to clear; null when none is. */
  readonly againAt: number | null;
}

/** Carries `since` over from the conditions before; says which began and which ended. */
export const updateConditions = (
  before: readonly Condition[],
  now: readonly ConditionNow[],
  time: { readonly wallMs: number; readonly now: number },
): ConditionChange => {
  const old = new Map(before.map((c) => [keyOf(c), c]));
  const holding = now.map(
    (c): Condition => ({ ...c, sinceMs: old.get(keyOf(c))?.sinceMs ?? time.wallMs, goneAt: null }),
  );
  const keys = new Set(holding.map(keyOf));
  const gone = before
    .filter((c) => !keys.has(keyOf(c)))
    .map((c): Condition => ({ ...c, goneAt: c.goneAt ?? time.now }));
  const endOf = ({ code, goneAt }: Condition): number => (goneAt ?? time.now) + (LINGER_MS[code] ?? 0);
  const lingering = gone.filter((c) => endOf(c) > time.now);
  return {
    conditions: [...holding, ...lingering],
    set: holding.filter((c) => !old.has(keyOf(c))),
    cleared: gone.filter((c) => endOf(c) <= time.now),
    againAt: lingering.length === 0 ? null : Math.min(...lingering.map(endOf)),
  };
};
