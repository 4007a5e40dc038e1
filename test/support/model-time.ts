/** Time and chance of the working model: a queue of moments that only `run` moves on, and a seeded random number. */

export interface ModelTime {
  now(): number;
  /** Uniform in [0, 1), the same row for the same seed. */
  random(): number;
  /** Uniform between two bounds. */
  between(low: number, high: number): number;
  /** Calls `fn` after `ms`; the returned function cancels it. */
  after(ms: number, fn: () => void): () => void;
  /** Lives through the next moment, if there is one up to `end`; false when time stands at `end` instead. */
  step(end: number): boolean;
  /** Lives through all moments up to `ms` from now, calling `step` after each. */
  run(ms: number, step: () => void): void;
}

interface Moment {
  readonly at: number;
  readonly order: number;
  readonly fn: () => void;
}

/** Mulberry32: small, and good enough to shuffle a schedule. */
export const seededRandom = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
};

export const modelTime = (seed: number): ModelTime => {
  const random = seededRandom(seed);
  const moments = new Set<Moment>();
  let now = 0;
  let order = 0;
  const next = (): Moment | undefined => {
    let first: Moment | undefined;
    for (const m of moments)
      if (first === undefined || m.at < first.at || (m.at === first.at && m.order < first.order)) first = m;
    return first;
  };
  const stepTo = (end: number): boolean => {
    const m = next();
    if (m === undefined || m.at > end) {
      now = end;
      return false;
    }
    now = m.at;
    moments.delete(m);
    m.fn();
    return true;
  };
  return {
    now: () => now,
    random,
    between: (low, high) => low + random() * (high - low),
    after: (ms, fn) => {
      order += 1;
      const moment = { at: now + Math.max(0, ms), order, fn };
      moments.add(moment);
      return () => void moments.delete(moment);
    },
    step: stepTo,
    run: (ms, step) => {
      const end = now + ms;
      while (stepTo(end)) step();
      step();
    },
  };
};
