/** The fleet's figures for Prometheus. Every label has a bounded set of values, whatever devices send. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { CONDITION_ONLY_CODES } from '../../core/condition.ts';
import { FAULT_CODES } from '../../core/errors.ts';
import { OPS } from '../../protocol/command-schema.ts';
import type { EventMessage } from '../../protocol/event-schema.ts';
import type { HealthMessage } from '../../protocol/health-schema.ts';
import { ENDPOINT_STATES, SESSION_STATES } from '../../protocol/reported-schema.ts';
import type { ResultMessage } from '../../protocol/result-schema.ts';
import type { DeviceRow } from '../watch/device-row.ts';

/** More versions than this at a time are counted together. */
const MOST_VERSIONS = 20;
const OTHER = 'other';

const CODES: ReadonlySet<string> = new Set(FAULT_CODES);
const KNOWN_OPS: ReadonlySet<string> = new Set(OPS);
/** Counters of `health.sec`; what a device adds of its own is not passed on. */
const KINDS_OF_LOAD = [
  ['cpu', 'CPU load, 0 to 100'],
  ['mem', 'Memory in use, 0 to 100'],
  ['disk', 'Disk in use, 0 to 100'],
] as const;
const PERCENT_BUCKETS = [10, 25, 50, 75, 85, 90, 95, 99];
const LATENCY_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const CELSIUS_BUCKETS = [20, 40, 50, 60, 70, 80, 90, 100];

const codeLabel = (code: string | undefined): string =>
  code === undefined ? 'none' : CODES.has(code) ? code : OTHER;

export interface FleetMetrics {
  readonly registry: Registry;
  /** One message of the shared part; each is taken in by one exporter only, so that sums over all are right. */
  health(message: HealthMessage): void;
  event(message: EventMessage): void;
  result(message: ResultMessage): void;
  unreadable(): void;
  /** The whole fleet's state, which every exporter has for itself. Null while there is no link. */
  state(rows: readonly DeviceRow[] | null): void;
  link(isUp: boolean): void;
}

const count = <K extends string>(values: Iterable<K>): Map<K, number> => {
  const counts = new Map<K, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
};

/** Counts by version: the most frequent ones by name, the rest together. */
const versionCounts = (rows: readonly DeviceRow[]): ReadonlyMap<string, number> => {
  const counts = [...count(rows.map(({ versions }) => versions?.agent ?? 'unknown'))].sort(
    ([a, n], [b, m]) => m - n || (a < b ? -1 : 1),
  );
  const named = counts.slice(0, MOST_VERSIONS).map(([version, n]) => [version.slice(0, 40), n] as const);
  const rest = counts.slice(MOST_VERSIONS).reduce((sum, [, n]) => sum + n, 0);
  return new Map(rest === 0 ? named : [...named, [OTHER, rest]]);
};

/** Makes the metrics, in a registry of their own. */
export const createFleetMetrics = (): FleetMetrics => {
  const registry = new Registry();
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name: `lockkeeper_fleet_${name}`, help, labelNames: [...labelNames], registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge({ name: `lockkeeper_fleet_${name}`, help, labelNames: [...labelNames], registers });
  const histogram = (name: string, help: string, buckets: readonly number[]) =>
    new Histogram({ name: `lockkeeper_fleet_${name}`, help, buckets: [...buckets], registers });

  const link = gauge('link_up', 'Whether this exporter is connected to the broker', []);
  const devices = gauge('devices', 'Devices by state; the same from every exporter', ['state']);
  const sessions = gauge('device_sessions', 'Devices on line by the state of their ngrok session', ['state']);
  const endpoints = gauge('endpoints', 'Endpoints of devices on line by state', ['state']);
  const conditions = gauge('conditions', 'Devices with a condition of this code', ['code']);
  const versions = gauge('agent_versions', 'Devices by version of the agent', ['version']);
  const locked = gauge('devices_locked', 'Devices that are locked locally', []);

  const healths = counter('health_messages_total', 'Health messages taken in', ['session']);
  const events = counter('events_total', 'Events taken in', ['type', 'code']);
  const results = counter('command_results_total', 'Statuses of commands taken in', ['op', 'status', 'code']);
  const unreadable = counter('unreadable_messages_total', 'Messages that have not the agreed form', []);
  const latency = histogram('heartbeat_latency_seconds', 'Heartbeat latency to the edge', LATENCY_BUCKETS);
  const temperature = histogram('device_temperature_celsius', 'Temperature of devices', CELSIUS_BUCKETS);
  const load = new Map(
    KINDS_OF_LOAD.map(([kind, help]) => [kind, histogram(`device_${kind}_percent`, help, PERCENT_BUCKETS)]),
  );
  const backlog = histogram(
    'device_outbox_messages',
    'Messages that devices hold back',
    [0, 1, 10, 50, 100, 500],
  );

  const setAll = <L extends string>(
    to: Gauge<L>,
    label: L,
    counts: ReadonlyMap<string, number>,
    always: readonly string[] = [],
  ): void => {
    to.reset();
    for (const value of always) to.set({ [label]: value } as never, 0);
    for (const [value, n] of counts) to.set({ [label]: value } as never, n);
  };

  return {
    registry,
    link: (isUp) => link.set(isUp ? 1 : 0),
    unreadable: () => unreadable.inc(),
    health({ sess, lat, sys, q }) {
      const state = SESSION_STATES.find((known) => known === sess) ?? OTHER;
      healths.inc({ session: state });
      if (lat !== undefined) latency.observe(lat / 1000);
      for (const [kind, metric] of load) {
        const value = sys?.[kind];
        if (value !== undefined) metric.observe(value);
      }
      if (sys?.t !== undefined && sys.t !== null) temperature.observe(sys.t);
      if (q?.out !== undefined) backlog.observe(q.out);
    },
    event: ({ type, code }) => events.inc({ type, code: codeLabel(code) }),
    result({ op, status, code }) {
      results.inc({ op: KNOWN_OPS.has(op) ? op : OTHER, status, code: codeLabel(code) });
    },
    state(rows) {
      if (rows === null) {
        for (const metric of [devices, sessions, endpoints, conditions, versions, locked]) metric.reset();
        return;
      }
      const online = rows.filter(({ state }) => state === 'online' || state === 'stuck');
      setAll(devices, 'state', count(rows.map(({ state }) => state)), [
        'online',
        'offline',
        'stuck',
        'unknown',
      ]);
      setAll(sessions, 'state', count(online.flatMap(({ session }) => session?.state ?? [])), SESSION_STATES);
      setAll(
        endpoints,
        'state',
        count(online.flatMap((row) => row.endpoints.map(({ state }) => state))),
        ENDPOINT_STATES,
      );
      const codes = rows.flatMap((row) => [
        ...new Set(row.conditions.map(({ code }) => conditionLabel(code))),
      ]);
      setAll(conditions, 'code', count(codes));
      setAll(versions, 'version', versionCounts(rows));
      locked.set(rows.filter((row) => row.locked).length);
    },
  };
};

/** Codes of conditions are ours or a device's; a device's may be anything. */
const CONDITION = new Set<string>([
  ...FAULT_CODES,
  ...['OFFLINE', 'SILENT', 'SESSION_DOWN', 'TOKEN_REFUSED', 'NOT_APPLIED', 'ENDPOINT_DOWN', 'UNSIGNED'],
  ...['NEVER_SEEN', 'NO_CREDENTIAL', 'NO_SESSION', 'CREDENTIALS_LEFT', 'GENERATION_BEHIND'],
  ...['TOKEN_UNRESTRICTED', 'TOKEN_SHARED', 'TOKEN_OLD', 'STRAY_SESSION', 'STRAY_POOL_MEMBER'],
  ...CONDITION_ONLY_CODES,
]);
const conditionLabel = (code: string): string => (CONDITION.has(code) ? code : OTHER);
