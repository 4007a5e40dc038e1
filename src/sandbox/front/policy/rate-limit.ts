import type { Clock } from '../../../core/clock.ts';

/** Buckets that are remembered; beyond, the one that was used first is forgotten. */
const MOST_BUCKETS = 10_000;

/** Lets `capacity` through per bucket in any span of `windowMs`. Gives 0, or the ms until the next one may pass. */
export const slidingWindow = (
  capacity: number,
  windowMs: number,
  clock: Clock,
): ((bucket: string) => number) => {
  const buckets = new Map<string, number[]>();
  return (bucket) => {
    const now = clock.now();
    const passed = (buckets.get(bucket) ?? []).filter((at) => at > now - windowMs);
    const [oldest] = passed;
    const waitMs = passed.length >= capacity && oldest !== undefined ? oldest + windowMs - now : 0;
    if (waitMs === 0) passed.push(now);
    buckets.delete(bucket);
    buckets.set(bucket, passed);
    if (buckets.size > MOST_BUCKETS) {
      for (const first of buckets.keys()) {
        buckets.delete(first);
        break;
      }
    }
    return waitMs;
  };
};
