/** `conn.summary`: what each endpoint carried in a window of `report.conn_s` seconds. An idle endpoint tells nothing. */
import type { Clock } from '../core/clock.ts';
import type { EndpointCounters } from '../core/endpoint.ts';
import type { Snapshot } from './snapshot.ts';
import type { EventDraft } from './transitions.ts';

/** How soon a changed interval is noticed while there are no summaries. */
const LOOK_MS = 5000;

type Totals = ReadonlyMap<string, EndpointCounters>;

const totalsOf = (s: Snapshot): Totals => new Map(s.endpoints.map((e) => [e.name, e.counters]));

/** The summaries of one window of `seconds`. Pure. */
export const summariesOf = (before: Totals, now: Totals, seconds: number): readonly EventDraft[] =>
  [...now].flatMap(([ep, c]): readonly EventDraft[] => {
    const old = before.get(ep);
    // A total that fell began anew.
    const since = (read: (of: EndpointCounters) => number): number => {
      const was = old === undefined ? 0 : read(old);
      return read(c) < was ? read(c) : read(c) - was;
    };
    const conn = since((x) => x.connections);
    const bytesIn = since((x) => x.bytesIn);
    const bytesOut = since((x) => x.bytesOut);
    const refused = since((x) => x.refused);
    const failures = since((x) => x.upstreamFailures);
    if (conn + bytesIn + bytesOut + refused + failures === 0) return [];
    const classes = c.responses.map((_, at) => since((x) => x.responses[at] ?? 0));
    const req = since((x) => x.requests);
    return [
      {
        type: 'conn.summary',
        ep,
        data: {
          s: seconds,
          conn,
          open: c.open,
          in: bytesIn,
          out: bytesOut,
          ...(req === 0 ? {} : { req, r: classes }),
          ...(refused === 0 ? {} : { refused }),
          ...(failures === 0 ? {} : { failed: failures }),
        },
      },
    ];
  });

export interface ConnSummaryOptions {
  readonly clock: Clock;
  /** Length of the window in seconds; 0 for no summaries. Asked anew each time. */
  everyS(): number;
  snapshot(): Snapshot;
  event(draft: EventDraft): void;
}

/** Tells summaries until the returned function is called. */
export const startConnSummaries = (options: ConnSummaryOptions): (() => void) => {
  const { clock } = options;
  let before: Totals = totalsOf(options.snapshot());
  let beganAt = clock.now();
  let cancel = (): void => undefined;

  const next = (): void => {
    const everyMs = options.everyS() * 1000;
    const leftMs = beganAt + everyMs - clock.now();
    if (everyMs > 0 && leftMs <= 0) {
      const now = totalsOf(options.snapshot());
      const seconds = Math.round((clock.now() - beganAt) / 1000);
      for (const draft of summariesOf(before, now, seconds)) options.event(draft);
      before = now;
      beganAt = clock.now();
    } else if (everyMs === 0) {
      before = totalsOf(options.snapshot());
      beganAt = clock.now();
    }
    const waitMs = everyMs === 0 ? LOOK_MS : Math.min(LOOK_MS, beganAt + everyMs - clock.now());
    cancel = clock.after(Math.max(1, waitMs), next);
  };
  next();
  return () => cancel();
};
