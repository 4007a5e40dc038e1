import type { Clock } from '../../core/clock.ts';

/** How many requests an account may make in a sliding window. Mutable: tests and the control door change it. */
export interface RateLimit {
  limit: number;
  windowMs: number;
}

export const DEFAULT_RATE: Readonly<RateLimit> = { limit: 120, windowMs: 60_000 };

/** Counts requests per account over the last `windowMs`; a refused request does not count. */
export const createLimiter = (clock: Clock, rate: Readonly<RateLimit>): ((account: string) => boolean) => {
  const times = new Map<string, number[]>();
  return (account) => {
    const now = clock.now();
    const recent = (times.get(account) ?? []).filter((at) => now - at < rate.windowMs);
    const isAllowed = recent.length < rate.limit;
    if (isAllowed) recent.push(now);
    times.set(account, recent);
    return isAllowed;
  };
};
