/** Keeps the rows of a fleet up to date: on each message, and now and then for what time alone changes. */
import type { Clock } from '../../core/clock.ts';
import type { Fault } from '../../core/errors.ts';
import type { NgrokApi } from '../api/index.ts';
import type { FleetLink } from '../fleet-link.ts';
import { type DeviceRow, deviceRow } from './device-row.ts';
import { type FleetFacts, factsOf, NO_FACTS, readApiLists } from './facts.ts';
import type { FleetView } from './fleet-view.ts';
import type { WatchSettings } from './judge.ts';

export type RowListener = (row: DeviceRow, before: DeviceRow | undefined) => void;

export interface FleetTracker {
  rows(): ReadonlyMap<string, DeviceRow>;
  /** Null without the API, or before its first answer. */
  facts(): FleetFacts | null;
  /** Looks at everything now; while there is no link to the broker nothing is judged. */
  sweep(): void;
  /** Calls `listener` for each row that changed in what an operator would act on. */
  onRow(listener: RowListener): () => void;
  /** Called after each sweep. */
  onSweep(listener: () => void): () => void;
  close(): void;
}

export interface TrackerOptions {
  readonly link: FleetLink;
  readonly view: FleetView;
  readonly clock: Clock;
  readonly thresholds: Omit<WatchSettings, 'nowMs' | 'listeningSinceMs'>;
  readonly api: NgrokApi | null;
  /** What the API was known to say at the start. */
  readonly facts: FleetFacts | null;
  /** Between two looks at the API, milliseconds. */
  readonly pollMs: number;
  readonly sweepMs: number;
  /** A look at the API that failed; the facts before it stay. */
  readonly onFault: (f: Fault) => void;
}

/** A page of a list holds so many; looking takes at most a quarter of the 120 requests that a minute allows. */
const PAGE = 100;
const MS_PER_REQUEST = 2000;

/** Milliseconds until the next look: rarer than asked for where the lists are long. Pure. */
export const pollDelayMs = (pollMs: number, lengths: readonly number[]): number => {
  const requests = lengths.reduce((sum, length) => sum + Math.max(1, Math.ceil(length / PAGE)), 0);
  return Math.max(pollMs, requests * MS_PER_REQUEST);
};

/** What makes a change worth telling: not ages, latencies and the last word. */
const keyOf = ({ lastSeen: _s, latencyMs: _l, credentials, conditions, ...row }: DeviceRow): string =>
  JSON.stringify([
    row,
    credentials.map(({ ageS: _a, ...rest }) => rest),
    conditions.map(({ code, severity, endpoint }) => [code, severity, endpoint]),
  ]);

/** Starts at once; the rows are there when it returns. */
export const createTracker = (options: TrackerOptions): FleetTracker => {
  const { link, view, clock, api } = options;
  const rows = new Map<string, DeviceRow>();
  const keys = new Map<string, string>();
  const rowListeners = new Set<RowListener>();
  const sweepListeners = new Set<() => void>();
  let facts = options.facts;
  let lengths: readonly number[] = Array<number>(3).fill(options.facts?.devices.size ?? 0);
  let isClosed = false;
  let cancelSweep: () => void = () => undefined;
  let cancelPoll: () => void = () => undefined;

  const settings = (): WatchSettings => ({
    ...options.thresholds,
    nowMs: clock.wall(),
    // What was not heard while there was no link says nothing about the devices.
    listeningSinceMs: Math.max(view.sinceMs, link.status().sinceMs),
    pools: facts?.pools ?? [],
  });
  const isJudging = (): boolean => link.status().state === 'connected';

  const update = (device: string, judging: WatchSettings): void => {
    const row = deviceRow(
      device,
      view.devices().get(device),
      facts === null ? null : (facts.devices.get(device) ?? NO_FACTS),
      judging,
    );
    const before = rows.get(device);
    rows.set(device, row);
    const key = keyOf(row);
    if (keys.get(device) === key) return;
    keys.set(device, key);
    for (const listener of [...rowListeners]) listener(row, before);
  };

  const sweep = (): void => {
    if (!isJudging()) return;
    const judging = settings();
    for (const device of new Set([...view.devices().keys(), ...(facts?.devices.keys() ?? [])]))
      update(device, judging);
    for (const listener of [...sweepListeners]) listener();
  };
  const scheduleSweep = (): void => {
    cancelSweep = clock.after(options.sweepMs, () => {
      sweep();
      scheduleSweep();
    });
  };
  const poll = async (): Promise<void> => {
    if (api === null) return;
    const lists = await readApiLists(api);
    if (isClosed) return;
    if (lists.ok) {
      const { credentials, sessions, endpoints } = lists.value;
      facts = factsOf(link.tenant, lists.value);
      lengths = [credentials.length, sessions.length, endpoints.length];
    } else options.onFault(lists.fault);
    schedulePoll();
  };
  const schedulePoll = (): void => {
    if (api !== null) cancelPoll = clock.after(pollDelayMs(options.pollMs, lengths), () => void poll());
  };

  const stop = view.onChange((device) => {
    if (isJudging()) update(device, settings());
  });
  sweep();
  scheduleSweep();
  schedulePoll();

  return {
    rows: () => rows,
    facts: () => facts,
    sweep,
    onRow(listener) {
      rowListeners.add(listener);
      return () => rowListeners.delete(listener);
    },
    onSweep(listener) {
      sweepListeners.add(listener);
      return () => sweepListeners.delete(listener);
    },
    close() {
      isClosed = true;
      stop();
      cancelSweep();
      cancelPoll();
    },
  };
};
