import type { Clock } from '../../../core/clock.ts';
import { edgeAnswer } from '../answer.ts';

/** Answers are judged over this long. */
const WINDOW_MS = 10_000;
/** An open breaker lets requests through again after this long. */
const OPEN_MS = 10_000;
/** Fewer answers than this say nothing about a rate. */
const LEAST_ANSWERS = 10;

/** Stands between visitors and an upstream that mostly fails. */
export interface CircuitBreaker {
  /** False while the breaker is open. */
  admits(): boolean;
  /** Tells the status of an answer that came from the agent's side. */
  saw(status: number): void;
}

/** What visitors get while the breaker is open. */
export const BREAKER_OPEN = edgeAnswer(503, null, 'The circuit breaker of this endpoint is open.');

/** Opens when at least `threshold` of the answers of a window are 5xx. */
export const circuitBreaker = (threshold: number, clock: Clock): CircuitBreaker => {
  let windowEndsAt = 0;
  let answers = 0;
  let failures = 0;
  let closedAgainAt = 0;
  return {
    admits: () => clock.now() >= closedAgainAt,
    saw: (status) => {
      const now = clock.now();
      if (now >= windowEndsAt) {
        windowEndsAt = now + WINDOW_MS;
        answers = 0;
        failures = 0;
      }
      answers += 1;
      if (status >= 500) failures += 1;
      if (answers < LEAST_ANSWERS || failures / answers < threshold || failures === 0) return;
      closedAgainAt = now + OPEN_MS;
      windowEndsAt = 0;
    },
  };
};
