/**
 * Visits an endpoint through its public URL, as somebody outside would: only where it is asked for, as each visit buys
 * an active endpoint hour at ngrok. The answer's body is not read.
 */
import type { Clock } from '../core/clock.ts';
import type { ProbeSeen } from './report.ts';

const DEADLINE_MS = 10_000;
/** ngrok says with this header that the answer is its own: nothing reached the device. */
const EDGE_ERROR = 'ngrok-error-code';

export interface ProbedEndpoint {
  readonly name: string;
  /** Empty while it is not known. */
  readonly url: string;
}

export interface PublicProbesOptions {
  readonly clock: Clock;
  /** Milliseconds between two rounds; 0 makes none. */
  readonly everyMs: number;
  /** Endpoints over HTTP that are up now. */
  endpoints(): readonly ProbedEndpoint[];
}

export interface PublicProbes {
  /** The last visit to each endpoint. */
  seen(): ReadonlyMap<string, ProbeSeen>;
  stop(): void;
}

const visit = async (url: string, clock: Clock): Promise<ProbeSeen> => {
  const beganAt = clock.now();
  const at = new Date(clock.wall()).toISOString();
  const took = (): number => Math.round(clock.now() - beganAt);
  try {
    const answer = await fetch(url, {
      method: 'HEAD',
      redirect: 'manual',
      headers: { 'user-agent': 'lockkeeper-probe', 'ngrok-skip-browser-warning': '1' },
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    await answer.body?.cancel();
    // Whatever the application says, the way to it is whole; a 502 may be the relay's.
    const ok = !answer.headers.has(EDGE_ERROR) && answer.status !== 502;
    return { ok, at, tookMs: took(), status: answer.status };
  } catch {
    return { ok: false, at, tookMs: took(), status: null };
  }
};

/** Visits from now on; the first round comes after one interval. */
export const startPublicProbes = (options: PublicProbesOptions): PublicProbes => {
  const { clock, everyMs } = options;
  let found: ReadonlyMap<string, ProbeSeen> = new Map();
  let isOver = false;
  let cancel = (): void => undefined;

  const round = async (): Promise<void> => {
    const next = new Map<string, ProbeSeen>();
    for (const { name, url } of options.endpoints())
      if (/^https?:/.test(url)) next.set(name, await visit(url, clock));
    found = next;
  };
  const schedule = (): void => {
    if (isOver || everyMs === 0) return;
    cancel = clock.after(everyMs, () => void round().finally(schedule));
  };
  schedule();
  return {
    seen: () => found,
    stop: () => {
      isOver = true;
      cancel();
    },
  };
};
