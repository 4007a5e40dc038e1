/** A whole tenant, read from the broker and kept up to date. */
import type { Clock } from '../../core/clock.ts';
import { sleep } from '../../core/clock.ts';
import type { InboundMessage } from '../../daemon/ports.ts';
import { formatTopic } from '../../protocol/topics.ts';
import type { FleetLink } from '../fleet-link.ts';
import { type DeviceSeen, fleetFilters, foldMessage, missingLeaves } from './seen.ts';

export type FleetListener = (device: string, seen: DeviceSeen, before: DeviceSeen | undefined) => void;

export interface FleetView {
  /** Every device that showed itself. */
  devices(): ReadonlyMap<string, DeviceSeen>;
  /** When it began to listen, epoch milliseconds. */
  readonly sinceMs: number;
  /** Calls `listener` after each change; the returned function ends that. */
  onChange(listener: FleetListener): () => void;
  close(): void;
}

export interface FleetViewOptions {
  /** Devices that are known from elsewhere, and so must not be missed. */
  readonly known?: Iterable<string>;
  /** True also listens to health and events. */
  readonly isLive: boolean;
}

/** Stored messages come at once; nothing new for so long means that there are no more. */
const QUIET_MS = 400;
/** A broker that never becomes quiet is not waited for longer. */
const LONGEST_MS = 30_000;
/** Topics asked for by name at a time. */
const BATCH = 240;
const STORED_FILTERS = 3;

/**
 * Subscribes and waits until what is stored has come. Brokers may cut a long row of stored messages short, and some send
 * none for wildcards: so what is missing of any device that is known is asked for by its exact topics. Rejects with a
 * `LockkeeperError` when the broker refuses.
 */
export const openFleetView = async (
  link: FleetLink,
  clock: Clock,
  options: FleetViewOptions,
): Promise<FleetView> => {
  const { tenant } = link;
  const devices = new Map<string, DeviceSeen>();
  const listeners = new Set<FleetListener>();
  let lastAtMs = clock.now();

  const onMessage = (message: InboundMessage): void => {
    lastAtMs = clock.now();
    const folded = foldMessage((device) => devices.get(device), message, clock.wall());
    if (folded === null) return;
    const before = devices.get(folded.device);
    devices.set(folded.device, folded.seen);
    for (const listener of [...listeners]) listener(folded.device, folded.seen, before);
  };
  const untilQuiet = async (quietMs: number): Promise<void> => {
    const untilMs = clock.now() + LONGEST_MS;
    lastAtMs = clock.now();
    while (clock.now() - lastAtMs < quietMs && clock.now() < untilMs) await sleep(clock, quietMs / 8);
  };

  const sinceMs = clock.wall();
  const filters = fleetFilters(tenant).slice(0, options.isLive ? undefined : STORED_FILTERS);
  const stops: (() => void)[] = [];
  // One after the other: the broker answers each with a burst.
  for (const filter of filters) stops.push(await link.watchAll([filter], onMessage));
  await untilQuiet(QUIET_MS);

  const names = new Set([...devices.keys(), ...(options.known ?? [])]);
  const missing = [...names].flatMap((device) =>
    missingLeaves(devices.get(device)).map((kind) => formatTopic({ kind, tenant, device })),
  );
  for (let at = 0; at < missing.length; at += BATCH) {
    const stop = await link.watchAll(missing.slice(at, at + BATCH), onMessage);
    await untilQuiet(QUIET_MS / 4);
    stop();
  }

  return {
    devices: () => devices,
    sinceMs,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => {
      for (const stop of stops) stop();
    },
  };
};
