/** The last minutes of traffic and the last events, kept for the page so that its plots are there when it opens. */
import type { Clock } from '../core/clock.ts';
import type { StatusDocument } from '../daemon/status.ts';

const SAMPLE_MS = 2000;
/** Five minutes. */
const MAX_SAMPLES = 150;

/** Totals of one endpoint at one moment; the reader makes rates of them. */
export interface TrafficSample {
  readonly at: number;
  readonly endpoints: Readonly<
    Record<string, readonly [requests: number, bytesIn: number, bytesOut: number, open: number]>
  >;
}

export interface History {
  /** Samples later than `afterMs` (epoch milliseconds), oldest first. */
  since(afterMs: number): readonly TrafficSample[];
  /** Ends the sampling. */
  stop(): void;
}

export const keepHistory = (clock: Clock, status: () => StatusDocument): History => {
  const samples: TrafficSample[] = [];
  let cancel = (): void => undefined;
  const sample = (): void => {
    const endpoints = Object.fromEntries(
      status().endpoints.map((e) => [e.name, [e.requests, e.bytesIn, e.bytesOut, e.open] as const]),
    );
    samples.push({ at: Math.round(clock.wall()), endpoints });
    if (samples.length > MAX_SAMPLES) samples.shift();
    cancel = clock.after(SAMPLE_MS, sample);
  };
  sample();
  return {
    since: (afterMs) => samples.filter(({ at }) => at > afterMs),
    stop: () => cancel(),
  };
};
