/** Measures one swap: what was served meanwhile, what was cut, how long an endpoint had no copy. Fed by the supervisor. */
import type { Clock } from '../core/clock.ts';
import type { Observed } from '../core/observed.ts';
import type { CutStreams, TunnelEvent } from '../core/tunnel-event.ts';

/** What a finished swap has to tell. Durations in milliseconds. */
export interface SwapFigures {
  readonly served: number;
  /** Requests that were cut, or that no copy was there to take. */
  readonly dropped: number;
  readonly drainMs: number;
  readonly cut: readonly CutStreams[];
  readonly gapMs: number;
}

export interface SwapMeter {
  /** Looks at once: the first deed of a swap may be to take endpoints down. */
  begin(totalRequests: number, observed: Observed, wantedUp: ReadonlySet<string>): void;
  /** After every change of observed state. */
  watch(observed: Observed, wantedUp: ReadonlySet<string>): void;
  onEvent(event: TunnelEvent): void;
  end(totalRequests: number): SwapFigures;
}

const openCopies = (o: Observed, name: string): number =>
  o.tunnels.filter((t) => {
    const phase = t.endpoints[name]?.phase;
    return (t.phase === 'connected' || t.phase === 'wobbling') && (phase === 'bound' || phase === 'serving');
  }).length;

export const createSwapMeter = (clock: Clock): SwapMeter => {
  let isRunning = false;
  let requestsBefore = 0;
  let drainMs = 0;
  let cut: CutStreams[] = [];
  let gapMs = 0;
  /** Endpoints that had a copy when the swap began, or got one since. */
  const served = new Set<string>();
  const gapSince = new Map<string, number>();

  const watch: SwapMeter['watch'] = (observed, wantedUp) => {
    if (!isRunning) return;
    const now = clock.now();
    for (const name of wantedUp) {
      const since = gapSince.get(name);
      if (openCopies(observed, name) > 0) {
        served.add(name);
        if (since !== undefined) {
          gapMs = Math.max(gapMs, now - since);
          gapSince.delete(name);
        }
      } else if (served.has(name) && since === undefined) gapSince.set(name, now);
    }
  };

  return {
    begin: (totalRequests, observed, wantedUp) => {
      isRunning = true;
      requestsBefore = totalRequests;
      drainMs = 0;
      cut = [];
      gapMs = 0;
      served.clear();
      gapSince.clear();
      watch(observed, wantedUp);
    },
    watch,
    onEvent: (event) => {
      if (!isRunning) return;
      if (event.type === 'drained') drainMs = Math.max(drainMs, event.tookMs);
      if (event.type === 'drained' || event.type === 'unbound') cut = [...cut, ...event.cut];
    },
    end: (totalRequests) => {
      isRunning = false;
      const openGaps = [...gapSince.values()].map((since) => clock.now() - since);
      return {
        served: Math.max(0, totalRequests - requestsBefore),
        dropped: cut.filter((c) => c.kind === 'http').reduce((sum, c) => sum + c.count, 0),
        drainMs: Math.round(drainMs),
        cut,
        gapMs: Math.round(Math.max(gapMs, ...openGaps, 0)),
      };
    },
  };
};
