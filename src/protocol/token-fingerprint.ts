/** How an authtoken is named in reports, logs and the audit trail. */
import { createHash } from 'node:crypto';

/** First 8 hex digits of SHA-256: tells two tokens apart and says nothing about either. */
export const tokenFingerprint = (authtoken: string): string =>
  createHash('sha256').update(authtoken).digest('hex').slice(0, 8);
