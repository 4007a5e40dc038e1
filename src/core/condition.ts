/** Health as coded conditions: each has a code, a severity, a time and a sentence. Absence means healthy. */
import { FAULT_CODES, type FaultCode } from './errors.ts';

export type Severity = 'info' | 'warning' | 'error';

/** Codes that only conditions use, beside the fault codes. */
export const CONDITION_ONLY_CODES = [
  'EDGE_UNREACHABLE',
  'TOKEN_MISSING',
  'TOKEN_FILE_REFUSED',
  'STORE_DEGRADED',
  'VAULT_SEALED',
  'SLOT_RECOVERED',
  'CLOCK_JUMP',
  'PARKED',
  'SATURATED',
  'SWAP_IN_PROGRESS',
  'BROKER_MODE',
] as const;

export type ConditionCode = FaultCode | (typeof CONDITION_ONLY_CODES)[number];

/** Fault codes that answer one message, or one command line, and never stand on a device. Any other may. */
const PASSING_CODES: ReadonlySet<FaultCode> = new Set<FaultCode>([
  'BAD_ARGS',
  'UNKNOWN_OP',
  'UNKNOWN_EP',
  'NOT_ALLOWED',
  'EXPIRED',
  'NOT_YET_VALID',
  'CLOCK_UNSURE',
  'REPLAY',
  'RATE_LIMITED',
  'QUEUE_FULL',
  'REV_CONFLICT',
  'DESIRED_CLEARED',
  'GEN_STALE',
  'UNSEAL_FAILED',
  'API_AUTH_REFUSED',
  'API_NOT_FOUND',
  'API_RATE_LIMITED',
  'API_REFUSED',
  'API_UNAVAILABLE',
  'NOT_FINISHED',
  'SESSIONS_REMAIN',
  'DAEMON_UNREACHABLE',
  'PIN_MISSING',
  'PIN_MISMATCH',
  'CANCELLED',
  'SUPERSEDED',
]);

/** Every code that a condition of a device may have, for those who count them. A new code counts from its first day. */
export const CONDITION_CODES: readonly ConditionCode[] = [
  ...FAULT_CODES.filter((code) => !PASSING_CODES.has(code)),
  ...CONDITION_ONLY_CODES,
];

/** A condition as it holds now; `since` is added by whoever keeps them. */
export interface ConditionNow {
  readonly code: ConditionCode;
  readonly severity: Severity;
  readonly message: string;
  readonly endpoint?: string;
}

export interface Condition extends ConditionNow {
  /** Monotonic milliseconds. */
  readonly since: number;
  /** Monotonic milliseconds at which its cause went away; null while it holds. */
  readonly goneAt: number | null;
  /** It stands at least until then: whoever looks for its cause has only just begun. */
  readonly heldUntil?: number;
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
  at: number,
): ConditionChange => {
  const old = new Map(before.map((c) => [keyOf(c), c]));
  const holding = now.map((c): Condition => ({ ...c, since: old.get(keyOf(c))?.since ?? at, goneAt: null }));
  const keys = new Set(holding.map(keyOf));
  const gone = before
    .filter((c) => !keys.has(keyOf(c)))
    .map((c): Condition => ({ ...c, goneAt: c.goneAt ?? at }));
  const endOf = ({ code, goneAt, heldUntil = at }: Condition): number =>
    Math.max((goneAt ?? at) + (LINGER_MS[code] ?? 0), heldUntil);
  const lingering = gone.filter((c) => endOf(c) > at);
  return {
    conditions: [...holding, ...lingering],
    set: holding.filter((c) => !old.has(keyOf(c))),
    cleared: gone.filter((c) => endOf(c) <= at),
    againAt: lingering.length === 0 ? null : Math.min(...lingering.map(endOf)),
  };
};
