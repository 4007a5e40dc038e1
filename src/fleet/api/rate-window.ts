/** Pure part of the client-side limiter: a sliding window of moments at which requests were sent. */

/** At most `limit` requests in any `windowMs`. */
export interface Rate {
  readonly limit: number;
  readonly windowMs: number;
}

/**
 * The service counts 120 in 60 s by when requests reach it. The window here is longer, so that a slow request followed
 * by quick ones still fits.
 */
export const API_RATE: Rate = { limit: 120, windowMs: 61_500 };

export interface Grant {
  /** Moments that count from now on, oldest first. */
  readonly times: readonly number[];
  /** How many of the wanted requests may go now. */
  readonly granted: number;
  /** When the next one may go; `nowMs` when one may go now. */
  readonly nextAtMs: number;
}

/** Grants as many of `wanted` requests as the window allows at `nowMs`. Moments in the future (a clock set back) are dropped. */
export const grant = (times: readonly number[], wanted: number, nowMs: number, rate: Rate): Grant => {
  const recent = times.filter((at) => at <= nowMs && nowMs - at < rate.windowMs);
  const granted = Math.max(0, Math.min(wanted, rate.limit - recent.length));
  const after = [...recent, ...Array.from({ length: granted }, () => nowMs)];
  const oldest = after[after.length - rate.limit];
  return { times: after, granted, nextAtMs: oldest === undefined ? nowMs : oldest + rate.windowMs };
};

/** A refusal says that the window is full, not when it moves: so pauses are shares of it, about 1 s to 15 s of a minute. */
const FIRST_PAUSE = 1 / 60;
const LONGEST_PAUSE = 1 / 4;

/** How long everybody waits after the n-th refusal (429) in a row. `retryAfterS` is the service's own word. */
export const pauseAfter429Ms = (
  inARow: number,
  retryAfterS: number | null,
  windowMs: number,
  random01: number,
): number => {
  const own = windowMs * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.max(0, inARow - 1));
  return Math.max((retryAfterS ?? 0) * 1000, own * (0.75 + random01 / 2));
};

/**
 * What is left of the limit for us, when others use the account too: learned from refusals, won back slowly. Without it
 * every window would be filled with requests that are refused.
 */
export interface Share {
  readonly limit: number;
  /** Monotonic time up to which it was won back. */
  readonly sinceMs: number;
}

const LEAST_SHARE = 0.1;
const SHARE_AFTER_REFUSAL = 0.9;
/** Requests a window that are won back in one window without a refusal. */
const WON_BACK = 20;

/** After a refusal, when `sent` requests of ours were in the window: a little less than that got through. */
export const shareAfterRefusal = (share: Share, sent: number, nowMs: number, rate: Rate): Share => ({
  limit: Math.max(1, rate.limit * LEAST_SHARE, SHARE_AFTER_REFUSAL * Math.min(share.limit, sent)),
  sinceMs: nowMs,
});

/** The share as time goes by. */
export const shareAt = (share: Share, nowMs: number, rate: Rate): Share => ({
  limit: Math.min(rate.limit, share.limit + (WON_BACK * (nowMs - share.sinceMs)) / rate.windowMs),
  sinceMs: nowMs,
});
