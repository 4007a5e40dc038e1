/** What an endpoint is, as the configuration file or the desired document declares it. */

export type Proto = 'http' | 'tcp' | 'tls';
export type Binding = 'public' | 'internal';

/** A declared endpoint with every default filled in and its URL normalised (lower-case host). */
export interface EndpointSpec {
  readonly name: string;
  readonly proto: Proto;
  /** A name from the configuration's `upstreams`, or a URL that `allowUpstreams` covers. */
  readonly upstream: string;
  /** Public URL, or empty for a random one. */
  readonly url: string;
  readonly on: boolean;
  /** Name of a traffic policy from the configuration's `policies`, or empty. */
  readonly policy: string;
  readonly binding: Binding;
  readonly metadata: string;
  readonly pooling: boolean;
  readonly metering: 'on' | 'off';
  /** Closes the endpoint after so many seconds without traffic; 0 means never. */
  readonly idleCloseS: number;
  readonly windows: readonly string[];
  /** Closes so many seconds after the declaring document was first accepted; 0 means never. */
  readonly ttlS: number;
  readonly origin: 'file' | 'document';
}

/** An upstream resolved to what the relay dials. */
export interface UpstreamTarget {
  /** The reference as the endpoint gave it: a name or a URL. Shown in status. */
  readonly ref: string;
  readonly host: string;
  readonly port: number;
  /** Present when the relay speaks TLS to the upstream. */
  readonly tls?: {
    readonly verify: boolean;
    /** Path of a PEM file with the authorities to trust instead of the system's. */
    readonly caFile?: string;
    /** Name to send and to check; the host when absent. */
    readonly serverName?: string;
  };
}

/** Everything a tunnel process needs to open one endpoint. */
export interface BindSpec {
  readonly name: string;
  readonly proto: Proto;
  readonly url: string;
  readonly binding: Binding;
  readonly metadata: string;
  readonly pooling: boolean;
  readonly metering: 'on' | 'off';
  /** Traffic policy text, or empty. */
  readonly policy: string;
  readonly upstream: UpstreamTarget;
  /** Epoch milliseconds at which a tunnel process without supervisor closes the endpoint by itself; null means never. */
  readonly closesAtMs: number | null;
}

/** Counters of one endpoint since its tunnel process bound it. Monotonic but for the gauges. */
export interface EndpointCounters {
  readonly requests: number;
  /** Connections opened so far. */
  readonly connections: number;
  /** Gauge: connections open now. */
  readonly open: number;
  /** Gauge: requests (http) or connections (tcp, tls, upgraded) that still owe or get bytes. */
  readonly inFlight: number;
  /** From the visitor to the upstream. */
  readonly bytesIn: number;
  /** From the upstream to the visitor. */
  readonly bytesOut: number;
  /** HTTP responses by class, `1xx` to `5xx`. */
  readonly responses: readonly [number, number, number, number, number];
  /** Connections refused by the relay (descriptor limit, cap). */
  readonly refused: number;
  /** Connections whose upstream could not be reached. */
  readonly upstreamFailures: number;
  /** Epoch milliseconds of the last byte in either direction; null before the first. */
  readonly lastActiveMs: number | null;
  /**
   * HTTP responses by the time from the end of the request's head to the response's head: one count for each bound of
   * `LATENCY_BUCKETS_MS` (not cumulative), and one for everything above. Absent where nothing is metered.
   */
  readonly latency?: readonly number[];
  /** The sum of those times in milliseconds; there when `latency` is. */
  readonly latencySumMs?: number;
}

/** Upper bounds, inclusive, of the latency counts. */
export const LATENCY_BUCKETS_MS: readonly number[] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000];
