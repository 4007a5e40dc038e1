/** The effective configuration: `config.json` plus environment, defaults filled in, checked, frozen. */
import type { Binding, Proto } from '../core/endpoint.ts';

export interface UpstreamConfig {
  readonly url: string;
  /** `https://` and `tls://` only. */
  readonly verify: boolean;
  readonly caFile: string;
  readonly serverName: string;
  readonly check: {
    readonly type: 'tcp' | 'http' | 'tls' | 'none';
    readonly path: string;
    readonly intervalS: number;
  } | null;
}

export interface EndpointConfig {
  readonly name: string;
  readonly proto: Proto;
  readonly upstream: string;
  readonly url: string;
  readonly on: boolean;
  readonly policy: string;
  readonly binding: Binding;
  readonly metadata: string;
  readonly pooling: boolean;
  readonly metering: 'on' | 'off';
  readonly idleCloseS: number;
  readonly windows: readonly string[];
}

export interface MqttConfig {
  readonly url: string;
  readonly username: string;
  readonly passwordFile: string;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly alpn: string;
  readonly protocol: 'auto' | '5' | '4';
  readonly keepAliveS: number;
}

export interface Config {
  readonly device: { readonly id: string; readonly tenant: string; readonly keyFile: string };
  readonly stateDir: string;
  readonly socket: string;
  readonly mqtt: MqttConfig;
  readonly trust: { readonly mode: 'signed' | 'broker'; readonly keysFile: string };
  readonly ngrok: {
    readonly authtokenFile: string;
    readonly serverAddr: string;
    readonly caFile: string;
    readonly region: string;
    readonly metadata: string;
    /** Sets TCP_NODELAY on the SDK's socket (Linux). */
    readonly noDelay: boolean;
    readonly heartbeatIntervalS: number;
    readonly heartbeatToleranceS: number;
  };
  readonly vault: { readonly keyFile: string };
  readonly upstreams: Readonly<Record<string, UpstreamConfig>>;
  readonly allowUpstreams: readonly string[];
  readonly endpoints: readonly EndpointConfig[];
  readonly report: {
    readonly healthS: number;
    readonly connEvents: 'off' | 'summary' | 'full';
    /** Seconds between two visits through the public URL; 0 for none. */
    readonly probeS: number;
  };
  readonly lease: { readonly defaultS: number };
  readonly handover: { readonly graceS: number };
  readonly lockFile: string;
  readonly policies: Readonly<Record<string, string>>;
  readonly http: {
    readonly listen: string;
    readonly tokenFile: string;
    readonly page: boolean;
    readonly metrics: boolean;
  };
  readonly swap: { readonly deadlineS: number };
  readonly drain: { readonly deadlineS: number };
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent' };
}
