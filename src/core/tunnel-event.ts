/**
 * What tunnel processes tell the supervisor. Plain data: the reducer in `observed.ts` turns these into observed state,
 * and tests feed them by hand.
 */
import type { EndpointCounters } from './endpoint.ts';
import type { Fault } from './errors.ts';

/** Names one tunnel process for the life of the supervisor: `t` and a number, never used twice. */
export type TunnelId = string;

/** Which of the vault's two slots holds the authtoken of a tunnel. */
export type Slot = 'a' | 'b';

/** Streams that the drain deadline cut, by endpoint. */
export interface CutStreams {
  readonly endpoint: string;
  readonly kind: 'http' | 'websocket' | 'tcp' | 'tls';
  readonly count: number;
}

/** One connection of a visitor, as it came, ended or was refused. */
export interface ConnectionNote {
  readonly what: 'opened' | 'closed' | 'refused';
  /** The visitor's address, where the edge told it. */
  readonly client: string | null;
  /** Of a connection that ended. */
  readonly bytesIn?: number;
  readonly bytesOut?: number;
  readonly tookMs?: number;
}

export type TunnelEvent = { readonly tunnel: TunnelId } & (
  | { readonly type: 'started'; readonly pid: number }
  | { readonly type: 'connected'; readonly sessionId: string; readonly tookMs: number }
  /** The first session never came about; the process ends by itself or is killed, `exited` follows. */
  | { readonly type: 'connect-failed'; readonly fault: Fault }
  /** The session was lost; the SDK has its few seconds to bring it back. */
  | { readonly type: 'disconnected' }
  | { readonly type: 'reconnected' }
  /** The SDK's time is up, or heartbeats stayed away: the process is to be replaced. */
  | { readonly type: 'lost'; readonly reason: 'clock' | 'heartbeat' | 'unresponsive' }
  | { readonly type: 'heartbeat'; readonly latencyMs: number }
  /** The edge answered the bind. Not yet proof that visitors are served. */
  | { readonly type: 'bound'; readonly endpoint: string; readonly url: string; readonly endpointId: string }
  | { readonly type: 'bind-failed'; readonly endpoint: string; readonly fault: Fault }
  /** Bound, heartbeat answered since, and settled. */
  | { readonly type: 'serving'; readonly endpoint: string }
  /** The endpoint's listener is closed: the edge sends no more visitors, its streams still drain. The name is free. */
  | { readonly type: 'closed'; readonly endpoint: string }
  /** The streams of an endpoint that was taken down have ended. */
  | { readonly type: 'unbound'; readonly endpoint: string; readonly cut: readonly CutStreams[] }
  /** The edge ended one endpoint (StopTunnel), or its listener ended for another reason. */
  | { readonly type: 'endpoint-stopped'; readonly endpoint: string; readonly fault: Fault }
  /** A visitor's connection met an upstream that did not answer (`fault`), or one that does again (null). Edge-triggered. */
  | { readonly type: 'upstream'; readonly endpoint: string; readonly fault: Fault | null }
  /** New connections are refused for want of descriptors or stream slots (true), or taken again (false). */
  | { readonly type: 'saturated'; readonly on: boolean; readonly refused: number }
  | { readonly type: 'counters'; readonly endpoints: Readonly<Record<string, EndpointCounters>> }
  /** Single connections, where they are asked for; `untold` came too fast to be told one by one. */
  | {
      readonly type: 'connections';
      readonly endpoint: string;
      readonly notes: readonly ConnectionNote[];
      readonly untold: number;
    }
  /** ngrok's own remote command reached the SDK's handler. */
  | { readonly type: 'remote'; readonly op: 'stop' | 'restart' }
  | { readonly type: 'drained'; readonly tookMs: number; readonly cut: readonly CutStreams[] }
  | {
      readonly type: 'exited';
      readonly code: number | null;
      readonly signal: string | null;
      readonly stderr: string;
    }
);
