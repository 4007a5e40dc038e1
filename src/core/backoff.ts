/** How long to wait before the next try. Pure: the attempt number and a random number in, milliseconds out. */

/** Waits before a tunnel process is started again, by the number of failures in a row. The last one repeats. */
export const RESTART_LADDER_MS = [0, 500, 1000, 2000, 3000] as const;

/** A session must have stayed up this long before the ladder starts at its foot again: flapping keeps its penalty. */
export const LADDER_RESET_AFTER_MS = 30_000;

export const restartDelayMs = (failures: number): number => {
  const last = RESTART_LADDER_MS.length - 1;
  return RESTART_LADDER_MS[Math.min(Math.max(0, failures - 1), last)] ?? 0;
};

/** Waits between plain TCP tries of an edge that does not answer: 2 to 4 s, jittered. */
export const probeDelayMs = (random01: number): number => 2000 + random01 * 2000;

/** A probe that took its time does not follow at once on the one before. */
export const PROBE_GAP_MS = 500;

/** An edge that answers "not now": seconds, half a minute at most, jittered so that a fleet does not come as one. */
export const laterDelayMs = (attempt: number, random01: number): number =>
  Math.min(30_000, 1000 * 2 ** Math.max(0, attempt - 1)) * (0.5 + random01 / 2);

/**
 * Tries soon after one another when the account has no session left: a dead one of ours may linger at the edge for as long
 * as it waits for heartbeats.
 */
export const LIMIT_QUICK_WAITS_MS = [2000, 5000, 10_000, 15_000, 20_000] as const;

/** The wait after such an answer, spread over its upper half; undefined once the quick ones are used up. */
export const limitDelayMs = (attempt: number, random01: number): number | undefined => {
  const quickMs = LIMIT_QUICK_WAITS_MS[attempt - 1];
  return quickMs === undefined ? undefined : quickMs * (0.5 + random01 / 2);
};

export interface SlowPolicy {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Answers that say no: a refused token, an account in the way, an agent too old. Minutes to hours. */
export const SLOW: Readonly<Record<'RS' | 'F-cred' | 'F-conf' | 'F-acct' | 'F-ver', SlowPolicy>> = {
  RS: { firstMs: 60_000, maxMs: 15 * 60_000 },
  'F-cred': { firstMs: 15 * 60_000, maxMs: 6 * 3_600_000 },
  'F-conf': { firstMs: 15 * 60_000, maxMs: 3_600_000 },
  'F-acct': { firstMs: 5 * 60_000, maxMs: 3_600_000 },
  'F-ver': { firstMs: 3_600_000, maxMs: 6 * 3_600_000 },
};

/** Doubles from `firstMs` to `maxMs`, spread over the upper half by the random number. */
export const slowDelayMs = (policy: SlowPolicy, attempt: number, random01: number): number =>
  Math.min(policy.maxMs, policy.firstMs * 2 ** Math.max(0, attempt - 1)) * (0.5 + random01 / 2);

/** Waits before a refused bind is tried again: quick while a dead predecessor may still hold the URL, then in minutes. */
export const bindRetryMs = (
  cls: 'R' | 'RS' | 'F-cred' | 'F-conf' | 'F-acct' | 'F-ver',
  attempt: number,
  random01: number,
): number => {
  if (cls === 'R')
    return attempt <= 5
      ? 1000 * 2 ** (attempt - 1) * (0.5 + random01 / 2)
      : slowDelayMs(SLOW.RS, attempt - 5, random01);
  return slowDelayMs(SLOW[cls], attempt, random01);
};
