/** A token bucket as plain data: so many at once, so many a second. Pure; times are monotonic milliseconds. */
export interface BucketPolicy {
  readonly burst: number;
  readonly perSecond: number;
}

export interface Bucket {
  readonly level: number;
  readonly at: number;
}

export const fullBucket = (policy: BucketPolicy, now: number): Bucket => ({ level: policy.burst, at: now });

/** The bucket after one more, and whether that one may pass. */
export const take = (
  bucket: Bucket,
  policy: BucketPolicy,
  now: number,
): { readonly bucket: Bucket; readonly isAllowed: boolean } => {
  const level = Math.min(policy.burst, bucket.level + ((now - bucket.at) / 1000) * policy.perSecond);
  return level >= 1
    ? { bucket: { level: level - 1, at: now }, isAllowed: true }
    : { bucket: { level, at: now }, isAllowed: false };
};

/** Seconds until one may pass again, at least 1. */
export const retryAfterS = (bucket: Bucket, policy: BucketPolicy): number =>
  Math.max(1, Math.ceil((1 - bucket.level) / policy.perSecond));
