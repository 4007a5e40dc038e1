/**
 * One of any number of exporters. What comes in volume (health, events, results) is shared among all that name the same
 * group, each message counted by one; the state of the fleet, which changes little, is read by each.
 */
import type { Clock } from '../../core/clock.ts';
import type { InboundMessage } from '../../daemon/ports.ts';
import { readStrictJson } from '../../protocol/strict-json.ts';
import { parseTopic } from '../../protocol/topics.ts';
import { checkEvent, checkHealth, checkResult } from '../../protocol/validate.ts';
import type { FleetLink } from '../fleet-link.ts';
import { deviceRow } from '../watch/device-row.ts';
import { openFleetView } from '../watch/fleet-view.ts';
import { DEFAULT_WATCH } from '../watch/judge.ts';
import { createFleetMetrics, type FleetMetrics } from './metrics.ts';

export interface ExporterOptions {
  readonly link: FleetLink;
  readonly clock: Clock;
  /** Exporters of one group share the messages. Null takes every message, also on a broker without shared subscriptions. */
  readonly group: string | null;
}

export interface Exporter {
  readonly metrics: FleetMetrics;
  /** The text for a scrape; the state is counted when it is asked for. */
  scrape(): Promise<string>;
  close(): void;
}

/** Topics that come in volume, below `lk1/{tenant}/d/+/`. */
const VOLUME = ['health', 'event/+', 'res/+'];

/** The filters of the shared part. */
export const sharedFilters = (tenant: string, group: string | null): readonly string[] =>
  VOLUME.map((leaf) => `${group === null ? '' : `$share/${group}/`}lk1/${tenant}/d/+/${leaf}`);

/** Takes a message in; false when it has not the agreed form. */
const take = (metrics: FleetMetrics, { topic, payload }: InboundMessage): boolean => {
  const kind = parseTopic(topic)?.kind;
  const json = readStrictJson(payload);
  if (!json.ok) return false;
  if (kind === 'health') {
    const health = checkHealth(json.value);
    if (health.ok) metrics.health(health.value);
    return health.ok;
  }
  if (kind === 'event') {
    const event = checkEvent(json.value);
    if (event.ok) metrics.event(event.value);
    return event.ok;
  }
  const result = checkResult(json.value);
  if (result.ok) metrics.result(result.value);
  return result.ok;
};

/** Subscribes and reads what is stored. Rejects with a `LockkeeperError` when the broker refuses. */
export const startExporter = async ({ link, clock, group }: ExporterOptions): Promise<Exporter> => {
  const metrics = createFleetMetrics();
  const view = await openFleetView(link, clock, { isLive: false });
  const stop = await link.watchAll(sharedFilters(link.tenant, group), (message) => {
    if (!take(metrics, message)) metrics.unreadable();
  });
  return {
    metrics,
    async scrape() {
      const isUp = link.status().state === 'connected';
      metrics.link(isUp);
      // Old figures would pass for a fleet that is well: without a link there are none.
      const settings = { ...DEFAULT_WATCH, nowMs: clock.wall(), listeningSinceMs: null };
      metrics.state(
        isUp ? [...view.devices()].map(([device, seen]) => deviceRow(device, seen, null, settings)) : null,
      );
      return metrics.registry.metrics();
    },
    close() {
      stop();
      view.close();
    },
  };
};
