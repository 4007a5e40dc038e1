/** Reads quantiles out of counts by bucket. */
import { LATENCY_BUCKETS_MS } from './endpoint.ts';

/**
 * The upper bound, in milliseconds, of the bucket that holds the quantile `q` (0 to 1): what so large a share was
 * faster than. The largest bound when it lies above all of them; null when nothing was counted.
 */
export const quantileMs = (counts: readonly number[], q: number): number | null => {
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (total === 0) return null;
  let seen = 0;
  for (const [at, n] of counts.entries()) {
    seen += n;
    if (seen >= q * total) return LATENCY_BUCKETS_MS[at] ?? LATENCY_BUCKETS_MS.at(-1) ?? null;
  }
  return null;
};
