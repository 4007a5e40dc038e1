/** What a look at one thing brought to light. */

export type FindingSeverity = 'ok' | 'warning' | 'error' | 'skipped';

export interface Finding {
  /** What was looked at: `edge`, `broker`, `upstream hmi` … */
  readonly check: string;
  readonly severity: FindingSeverity;
  /** Stable name of what was found; `OK` where all is well. */
  readonly code: string;
  /** One sentence: what is so. */
  readonly message: string;
  /** One sentence: what to do about it; empty where there is nothing to do. */
  readonly advice: string;
}

export const fine = (check: string, message: string): Finding => ({
  check,
  severity: 'ok',
  code: 'OK',
  message,
  advice: '',
});

export const skipped = (check: string, message: string): Finding => ({
  check,
  severity: 'skipped',
  code: 'SKIPPED',
  message,
  advice: '',
});

export const found = (
  check: string,
  severity: 'warning' | 'error',
  code: string,
  message: string,
  advice: string,
): Finding => ({ check, severity, code, message, advice });

/** True when something is wrong that keeps the device from its work. */
export const hasErrors = (findings: readonly Finding[]): boolean =>
  findings.some(({ severity }) => severity === 'error');
