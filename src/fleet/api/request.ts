/** One request to the API: headers, time-out, limiter, retries. Nothing is thrown but aborts. */
import { type Clock, sleep } from '../../core/clock.ts';
import { fault, LockkeeperError } from '../../core/errors.ts';
import {
  type ApiFault,
  type ApiResult,
  faultOfAnswer,
  faultOfException,
  type RawAnswer,
  unreadable,
} from './api-fault.ts';
import type { Limiter } from './limiter.ts';

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

export interface Ask {
  readonly method: Method;
  /** Below the base URL, with a leading slash; query included. */
  readonly path: string;
  /** Sent as JSON; undefined sends no body. */
  readonly body?: unknown;
  /**
   * True when doing it twice does no harm (GET, DELETE, PATCH, and POSTs that say so). A creation is never repeated
   * after an answer that leaves open whether it was done.
   */
  readonly isRepeatable: boolean;
}

/** What came of a request; `body` is null for an answer without one. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** True when an earlier attempt of this request may have done the work. */
  readonly isAfterDoubt: boolean;
}

export interface RequesterOptions {
  readonly baseUrl: URL;
  readonly key: string;
  readonly clock: Clock;
  readonly limiter: Limiter;
  readonly userAgent: string;
  /** For one attempt, until the last byte of the answer. */
  readonly timeoutMs: number;
  /** Attempts that may fail before a fault is given back; refusals for the rate (429) do not count. */
  readonly attempts: number;
  /** How long refusals for the rate are waited out. */
  readonly rateDeadlineMs: number;
  readonly maxParallel: number;
  readonly fetch: typeof fetch;
  readonly signal?: AbortSignal;
}

export type Requester = (ask: Ask) => Promise<ApiResult<Answer>>;

const RETRY_FIRST_MS = 400;
const RETRY_MAX_MS = 5000;

/** Milliseconds before the next attempt after the n-th failure. */
export const retryDelayMs = (failures: number, random01: number): number =>
  Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.max(0, failures - 1)) * (0.5 + random01 / 2);

const retryAfterOf = (header: string | null): number | null =>
  header !== null && /^\d{1,5}$/.test(header) ? Number(header) : null;

/** At most `most` at a time; the others in order. */
const createGate = (most: number): (<T>(work: () => Promise<T>) => Promise<T>) => {
  let running = 0;
  const queue: (() => void)[] = [];
  return async (work) => {
    if (running >= most)
      await new Promise<void>((resolve) => {
        queue.push(resolve);
      });
    else running += 1;
    try {
      return await work();
    } finally {
      // The place goes straight to the next, so that nobody slips in between.
      const next = queue.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
};

const parse = (what: string, { status, text }: RawAnswer): ApiResult<unknown> => {
  if (text === '') return { ok: true, value: null };
  try {
    return { ok: true, value: JSON.parse(text) as unknown };
  } catch {
    return { ok: false, fault: unreadable(what, status) };
  }
};

/** A requester for one account. Aborting its signal rejects what is under way with a `LockkeeperError`. */
export const createRequester = (options: RequesterOptions): Requester => {
  const { baseUrl, key, clock, limiter, signal } = options;
  const gate = createGate(options.maxParallel);
  const headers = {
    authorization: `Bearer ${key}`,
    'ngrok-version': '2',
    accept: 'application/json',
    'user-agent': options.userAgent,
  };

  const send = async (ask: Ask): Promise<RawAnswer> => {
    const ending = new AbortController();
    const cancel = clock.after(options.timeoutMs, () => ending.abort());
    const stop = (): void => ending.abort();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      const response = await options.fetch(new URL(ask.path, baseUrl), {
        method: ask.method,
        headers: ask.body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
        ...(ask.body === undefined ? {} : { body: JSON.stringify(ask.body) }),
        // The key goes nowhere but where it was meant to go.
        redirect: 'error',
        signal: ending.signal,
      });
      return {
        status: response.status,
        text: await response.text(),
        retryAfterS: retryAfterOf(response.headers.get('retry-after')),
      };
    } finally {
      cancel();
      signal?.removeEventListener('abort', stop);
    }
  };

  const aborted = (): LockkeeperError =>
    new LockkeeperError(fault('CANCELLED', 'The work on the API was ended.', true));

  const attempt = async (
    ask: Ask,
    what: string,
  ): Promise<ApiResult<Answer> & { retryAfterS?: number | null }> => {
    let raw: RawAnswer;
    try {
      raw = await send(ask);
    } catch (error) {
      if (signal?.aborted === true) throw aborted();
      return { ok: false, fault: faultOfException(what, error) };
    }
    if (raw.status < 200 || raw.status > 299)
      return { ok: false, fault: faultOfAnswer(what, raw), retryAfterS: raw.retryAfterS };
    const body = parse(what, raw);
    return body.ok
      ? { ok: true, value: { status: raw.status, body: body.value, isAfterDoubt: false } }
      : { ok: false, fault: body.fault };
  };

  return async (ask) => {
    const what = `${ask.method} ${ask.path.split('?', 1)[0] ?? ''}`;
    const rateUntilMs = clock.now() + options.rateDeadlineMs;
    let failures = 0;
    let isDoubtful = false;
    for (;;) {
      const result = await gate(async () => {
        try {
          await limiter.take(signal);
        } catch (error) {
          if (signal?.aborted === true) throw aborted();
          throw error;
        }
        return attempt(ask, what);
      });
      if (result.ok) {
        limiter.accepted();
        return { ok: true, value: { ...result.value, isAfterDoubt: isDoubtful } };
      }
      const { fault: failure } = result;
      if (failure.status === 429) {
        limiter.refused(result.retryAfterS ?? null);
        if (clock.now() < rateUntilMs) continue;
        return result;
      }
      if (failure.status !== null) limiter.accepted();
      failures += 1;
      isDoubtful ||= failure.isUncertain;
      const mayRepeat = failure.retryable && (ask.isRepeatable || !failure.isUncertain);
      if (!mayRepeat || failures >= options.attempts) return withDoubt(result.fault, isDoubtful);
      try {
        await sleep(clock, retryDelayMs(failures, clock.random()), signal);
      } catch {
        throw aborted();
      }
    }
  };
};

const withDoubt = (failure: ApiFault, isUncertain: boolean): ApiResult<never> => ({
  ok: false,
  fault: { ...failure, isUncertain },
});
