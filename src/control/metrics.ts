/**
 * The device's metrics. Labels hold names of endpoints, states, codes and classes from fixed lists, never anything of a
 * visitor's, so the number of series depends on the endpoints that are declared and on nothing else. Names follow
 * OpenTelemetry's where it has one (`http.server.request.duration`, `system.*`, `process.*`), units as suffixes.
 */
import { CONDITION_CODES } from '../core/condition.ts';
import { LATENCY_BUCKETS_MS } from '../core/endpoint.ts';
import type { EndpointInStatus, StatusDocument } from '../daemon/status.ts';
import type { DropCounter } from '../protocol/judge-context.ts';
import { exposition, type Family, type Histogram, histogramSamples, type Labels } from './exposition.ts';

/** Figures of the process and the machine; null where the machine does not tell. */
export interface MachineMetrics {
  readonly loadAverage1m: number;
  readonly memoryUsed: number | null;
  readonly filesystemUsed: number | null;
  readonly temperatureC: number | null;
  readonly networkIn: number | null;
  readonly networkOut: number | null;
  readonly rssBytes: number;
  readonly cpuSeconds: number;
  readonly startedAtS: number;
}

const SESSION_STATES = ['connected', 'connecting', 'down', 'auth-failed', 'stopped'] as const;
const ENDPOINT_STATES = ['up', 'opening', 'down', 'failed', 'denied'] as const;
const CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const;
const DROP_REASONS: readonly DropCounter[] = [
  'bad_sig',
  'replay',
  'too_big',
  'bad_json',
  'rate',
  'retained',
  'topic',
];
const SEVERITIES = ['info', 'warning', 'error'] as const;

const one = (name: string, type: 'counter' | 'gauge', help: string, value: number | null): Family => ({
  name,
  type,
  help,
  samples: value === null ? [] : [[{}, value]],
});

const epochS = (iso: string | null): number => (iso === null ? 0 : Math.round(Date.parse(iso)) / 1000);

const isDown = (status: StatusDocument, endpoint: string): boolean =>
  status.conditions.some(
    (c) => c.endpoint === endpoint && (c.code === 'UPSTREAM_DOWN' || c.code === 'UPSTREAM_TLS'),
  );

/** A code that this version does not know counts as OTHER. */
const conditionCounts = (status: StatusDocument): readonly (readonly [Labels, number])[] => {
  const known: readonly string[] = CONDITION_CODES;
  const codes = status.conditions.map(({ code }) => (known.includes(code) ? code : 'OTHER'));
  return [...known, 'OTHER'].map((code) => [{ code }, codes.filter((c) => c === code).length]);
};

const deviceFamilies = (s: StatusDocument): readonly Family[] => [
  {
    name: 'target_info',
    type: 'gauge',
    help: 'Which service this is.',
    samples: [[{ service_name: 'lockkeeper', service_instance_id: s.device, service_version: s.version }, 1]],
  },
  one('lockkeeper_uptime_seconds', 'gauge', 'Seconds since the supervisor began.', s.uptimeS),
  one('lockkeeper_link_up', 'gauge', '1 while the MQTT link stands.', Number(s.link.state === 'connected')),
  one(
    'lockkeeper_session_up',
    'gauge',
    "1 while a session to ngrok's edge stands.",
    Number(s.session.state === 'connected'),
  ),
  {
    name: 'lockkeeper_session_state',
    type: 'gauge',
    help: '1 for the state that the session is in.',
    samples: SESSION_STATES.map((state) => [{ state }, Number(s.session.state === state)]),
  },
  one(
    'lockkeeper_session_heartbeat_latency_seconds',
    'gauge',
    'Round trip of the last heartbeat; 0 before the first.',
    (s.session.latencyMs ?? 0) / 1000,
  ),
  one(
    'lockkeeper_session_reconnects_total',
    'counter',
    'Sessions made after the first.',
    s.session.reconnects,
  ),
  one(
    'lockkeeper_credential_generation',
    'gauge',
    'Generation of the authtoken in use.',
    s.credential.generation,
  ),
  one('lockkeeper_locked', 'gauge', '1 while the device is locked on the spot.', Number(s.locked)),
  one('lockkeeper_desired_revision', 'gauge', 'Highest revision of desired accepted.', s.desired.rev),
  one('lockkeeper_desired_applied_revision', 'gauge', 'Highest revision fully in force.', s.desired.applied),
  one('lockkeeper_tunnel_processes', 'gauge', 'Tunnel processes held now.', s.tunnels.length),
  one('lockkeeper_outbox_messages', 'gauge', 'Messages that wait for the broker.', s.outbox.waiting),
  one(
    'lockkeeper_outbox_dropped_total',
    'counter',
    'Messages given up for want of room or leave.',
    s.outbox.dropped,
  ),
  {
    name: 'lockkeeper_intake_dropped_total',
    type: 'counter',
    help: 'Inbound messages thrown away, by reason.',
    samples: DROP_REASONS.map((reason) => [{ reason }, s.intake[reason] ?? 0]),
  },
  {
    name: 'lockkeeper_conditions',
    type: 'gauge',
    help: 'Conditions that stand, by severity.',
    samples: SEVERITIES.map((severity) => [
      { severity },
      s.conditions.filter((c) => c.severity === severity).length,
    ]),
  },
  {
    name: 'lockkeeper_condition_active',
    type: 'gauge',
    help: 'Conditions that stand, by code.',
    samples: conditionCounts(s),
  },
];

const perEndpoint = (
  s: StatusDocument,
  name: string,
  type: Family['type'],
  help: string,
  value: (e: EndpointInStatus) => number,
): Family => ({
  name,
  type,
  help,
  samples: s.endpoints.map((e) => [{ endpoint: e.name }, value(e)]),
});

const durationFamily = (s: StatusDocument): Histogram => ({
  name: 'lockkeeper_http_server_request_duration_seconds',
  type: 'histogram',
  help: "From the head of a visitor's request to the head of the upstream's response.",
  parts: s.endpoints
    .filter((e) => e.proto === 'http')
    .flatMap((e) =>
      histogramSamples(
        { endpoint: e.name },
        LATENCY_BUCKETS_MS.map((ms) => ms / 1000),
        e.latency?.counts ?? [],
        (e.latency?.sumMs ?? 0) / 1000,
      ),
    ),
});

const endpointFamilies = (s: StatusDocument): readonly (Family | Histogram)[] => {
  const gauge = (name: string, help: string, value: (e: EndpointInStatus) => number): Family =>
    perEndpoint(s, name, 'gauge', help, value);
  const counter = (name: string, help: string, value: (e: EndpointInStatus) => number): Family =>
    perEndpoint(s, name, 'counter', help, value);
  return [
    gauge('lockkeeper_endpoint_up', '1 while the edge sends visitors to it.', (e) =>
      Number(e.state === 'up'),
    ),
    {
      name: 'lockkeeper_endpoint_state',
      type: 'gauge',
      help: '1 for the state that the endpoint is in.',
      samples: s.endpoints.flatMap((e) =>
        ENDPOINT_STATES.map((state) => [{ endpoint: e.name, state }, Number(e.state === state)] as const),
      ),
    },
    gauge('lockkeeper_endpoint_upstream_up', '0 while its upstream is known not to answer.', (e) =>
      Number(!isDown(s, e.name)),
    ),
    gauge('lockkeeper_endpoint_lease_end_timestamp_seconds', 'When its lease ends; 0 without one.', (e) =>
      epochS(e.leaseEndsAt),
    ),
    gauge('lockkeeper_endpoint_last_active_timestamp_seconds', 'Its last byte; 0 before the first.', (e) =>
      epochS(e.lastActiveAt),
    ),
    counter('lockkeeper_endpoint_requests_total', 'HTTP requests.', (e) => e.requests),
    {
      name: 'lockkeeper_endpoint_responses_total',
      type: 'counter',
      help: 'HTTP responses by class.',
      samples: s.endpoints.flatMap((e) =>
        CLASSES.map(
          (status_class, at) => [{ endpoint: e.name, status_class }, e.responses[at] ?? 0] as const,
        ),
      ),
    },
    durationFamily(s),
    counter('lockkeeper_endpoint_connections_total', "Visitors' connections.", (e) => e.connections),
    gauge('lockkeeper_endpoint_open_connections', 'Connections open now.', (e) => e.open),
    gauge('lockkeeper_endpoint_active_requests', 'Requests or connections under way.', (e) => e.inFlight),
    counter('lockkeeper_endpoint_received_bytes_total', 'Bytes from visitors.', (e) => e.bytesIn),
    counter('lockkeeper_endpoint_sent_bytes_total', 'Bytes to visitors.', (e) => e.bytesOut),
    counter(
      'lockkeeper_endpoint_refused_connections_total',
      'Connections refused at a limit.',
      (e) => e.refused,
    ),
    counter(
      'lockkeeper_endpoint_upstream_failures_total',
      'Connections whose upstream did not answer.',
      (e) => e.upstreamFailures,
    ),
    counter(
      'lockkeeper_endpoint_active_hours_total',
      'Clock hours with traffic.',
      (e) => e.activeHours.total,
    ),
    gauge(
      'lockkeeper_endpoint_active_hours_month',
      'Clock hours with traffic in this calendar month.',
      (e) => e.activeHours.month,
    ),
  ];
};

const machineFamilies = (m: MachineMetrics): readonly Family[] => [
  one('process_resident_memory_bytes', 'gauge', 'Resident memory of the supervisor.', m.rssBytes),
  one('process_cpu_seconds_total', 'counter', 'CPU time of the supervisor.', m.cpuSeconds),
  one('process_start_time_seconds', 'gauge', 'When the supervisor began.', m.startedAtS),
  one('system_cpu_load_average_1m', 'gauge', 'Load of the machine over the last minute.', m.loadAverage1m),
  one('system_memory_utilization_ratio', 'gauge', 'Share of memory in use.', m.memoryUsed),
  one(
    'system_filesystem_utilization_ratio',
    'gauge',
    "Share of the state folder's disk in use.",
    m.filesystemUsed,
  ),
  one('system_temperature_celsius', 'gauge', 'Temperature of the board.', m.temperatureC),
  one(
    'system_network_received_bytes_total',
    'counter',
    'Bytes in, all interfaces but loopback.',
    m.networkIn,
  ),
  one('system_network_sent_bytes_total', 'counter', 'Bytes out, all interfaces but loopback.', m.networkOut),
];

/** The text of `/metrics`. */
export const metricsText = (status: StatusDocument, machine: MachineMetrics): Promise<string> =>
  exposition([...deviceFamilies(status), ...endpointFamilies(status), ...machineFamilies(machine)]);
