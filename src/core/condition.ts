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
}

const keyOf = (c: ConditionNow): string => `${c.code} ${c.endpoint ?? ''}`;

export interface ConditionChange {
  readonly conditions: readonly Condition[];
  readonly set: readonly Condition[];
  readonly cleared: readonly Condition[];
}

/** Carries `since` over from the conditions before; says which began and which ended. */
export const updateConditions = (
  before: readonly Condition[],
  now: readonly ConditionNow[],
  wallMs: number,
): ConditionChange => {
  const old = new Map(before.map((c) => [keyOf(c), c]));
  const conditions = now.map((c): Condition => ({ ...c, sinceMs: old.get(keyOf(c))?.sinceMs ?? wallMs }));
  const keys = new Set(conditions.map(keyOf));
  return {
    conditions,
    set: conditions.filter((c) => !old.has(keyOf(c))),
    cleared: before.filter((c) => !keys.has(keyOf(c))),
  };
};
