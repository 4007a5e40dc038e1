/**
 * What the supervisor and a tunnel process say to each other: one JSON object a line, over the inherited descriptor or
 * over the process's unix socket. Every request has a number and is answered once, at once; what comes of it follows
 * as events. The authtoken travels in `start` only, and never in the other direction.
 */
import type { BindSpec } from '../core/endpoint.ts';
import type { Fault } from '../core/errors.ts';
import type { Slot, TunnelEvent, TunnelId } from '../core/tunnel-event.ts';

/** Everything a tunnel process is told at its start. Holds the authtoken. */
export interface StartConfig {
  readonly tunnel: TunnelId;
  readonly slot: Slot;
  readonly generation: number;
  readonly authtoken: string;
  /** On expiry the process reports `connect-failed` and ends. */
  readonly connectDeadlineMs: number;
  /** `host:port`, or empty for ngrok's own. */
  readonly serverAddr: string;
  /** PEM file with the authorities to trust for the edge; empty for the SDK's own. */
  readonly caFile: string;
  /** ngrok region (`eu`), or `auto` or empty for the nearest. */
  readonly region: string;
  readonly metadata: string;
  readonly clientVersion: string;
  readonly heartbeatIntervalS: number;
  readonly heartbeatToleranceS: number;
  readonly noDelay: boolean;
  /** Whether single connections are told. */
  readonly tellConnections?: boolean;
  /** How long to serve on without a supervisor. */
  readonly graceMs: number;
}

/** What a tunnel process is and holds, for the supervisor that takes it over. */
export interface Snapshot {
  readonly tunnel: TunnelId;
  readonly pid: number;
  readonly slot: Slot;
  readonly generation: number;
  readonly sessionId: string;
  readonly connected: boolean;
  /** Monotonic milliseconds since when the session stands; processes of older versions do not tell. */
  readonly connectedAt?: number;
  readonly endpoints: readonly {
    readonly spec: BindSpec;
    readonly url: string;
    readonly endpointId: string;
    readonly serving: boolean;
    /** Monotonic milliseconds of its bind. */
    readonly boundAt?: number;
  }[];
}

/** Requests without their number. */
export type RequestBody =
  | { readonly type: 'start'; readonly config: StartConfig }
  /** Takes the process over; the answer holds the snapshot, then standing conditions come as events. */
  | { readonly type: 'adopt' }
  | { readonly type: 'ping' }
  | { readonly type: 'bind'; readonly spec: BindSpec }
  | { readonly type: 'unbind'; readonly endpoint: string; readonly drainMs: number }
  | { readonly type: 'closes-at'; readonly endpoint: string; readonly closesAtMs: number | null }
  | { readonly type: 'drain'; readonly deadlineMs: number };

export type Request = { readonly id: number } & RequestBody;

type WithoutTunnel<E> = E extends unknown ? Omit<E, 'tunnel'> : never;

/** Events that a process reports about itself. Its start and end are seen from outside. */
export type ProcessEvent = Exclude<WithoutTunnel<TunnelEvent>, { readonly type: 'started' | 'exited' }>;

export type Reply =
  | { readonly type: 'answer'; readonly id: number; readonly ok: true; readonly snapshot: Snapshot | null }
  | { readonly type: 'answer'; readonly id: number; readonly ok: false; readonly fault: Fault }
  | { readonly type: 'event'; readonly event: ProcessEvent }
  | {
      readonly type: 'log';
      readonly level: 'warn' | 'error';
      readonly target: string;
      readonly message: string;
    }
  /** Another supervisor took the process over; this channel ends now. */
  | { readonly type: 'replaced' };

/** The longest line either side takes; a bind with a large traffic policy is the biggest message. */
export const MAX_LINE_BYTES = 1_048_576;

const REQUEST_TYPES: readonly string[] = [
  'start',
  'adopt',
  'ping',
  'bind',
  'unbind',
  'closes-at',
  'drain',
] satisfies readonly RequestBody['type'][];

const REPLY_TYPES: readonly string[] = [
  'answer',
  'event',
  'log',
  'replaced',
] satisfies readonly Reply['type'][];

const parseObject = (line: string): Record<string, unknown> | null => {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

/**
 * Reads a line as a request; null when it is none. Both ends are one version of one program, so the envelope and the
 * fields that choose a path are checked, not every leaf.
 */
export const parseRequest = (line: string): Request | null => {
  const value = parseObject(line);
  if (value === null || !Number.isSafeInteger(value['id'])) return null;
  const type = value['type'];
  if (typeof type !== 'string' || !REQUEST_TYPES.includes(type)) return null;
  if (type === 'start' && !(isRecord(value['config']) && typeof value['config']['authtoken'] === 'string'))
    return null;
  if (type === 'bind' && !(isRecord(value['spec']) && typeof value['spec']['name'] === 'string')) return null;
  if ((type === 'unbind' || type === 'closes-at') && typeof value['endpoint'] !== 'string') return null;
  if (type === 'unbind' && typeof value['drainMs'] !== 'number') return null;
  if (type === 'drain' && typeof value['deadlineMs'] !== 'number') return null;
  return value as unknown as Request;
};

/** Reads a line as a reply; null when it is none. */
export const parseReply = (line: string): Reply | null => {
  const value = parseObject(line);
  if (value === null) return null;
  const type = value['type'];
  if (typeof type !== 'string' || !REPLY_TYPES.includes(type)) return null;
  if (type === 'answer' && !(Number.isSafeInteger(value['id']) && typeof value['ok'] === 'boolean'))
    return null;
  if (type === 'answer' && value['ok'] === false && !isRecord(value['fault'])) return null;
  if (type === 'event' && !(isRecord(value['event']) && typeof value['event']['type'] === 'string'))
    return null;
  if (type === 'log' && typeof value['message'] !== 'string') return null;
  return value as unknown as Reply;
};
