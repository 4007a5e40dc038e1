/**
 * The stable error codes of Lockkeeper and the one shape in which a failure travels.
 *
 * A failure that is expected (bad input, a refusal by the edge, a missing upstream) is a `Fault`: plain data that
 * can be stored, compared, sent over a socket and shown. Only bugs and a broken world are thrown.
 */

/** Codes that appear on MQTT, in `status --json`, in logs and in exit messages. Never renamed. */
export const FAULT_CODES = [
  // intake
  'BAD_ARGS',
  'UNKNOWN_OP',
  'UNKNOWN_EP',
  'NOT_ALLOWED',
  'EXPIRED',
  'NOT_YET_VALID',
  'CLOCK_UNSURE',
  'REPLAY',
  'RATE_LIMITED',
  'QUEUE_FULL',
  'LOCKED',
  // desired state
  'REV_CONFLICT',
  'DESIRED_CLEARED',
  'STATE_LOST',
  'UPSTREAM_DENIED',
  'UNKNOWN_POLICY',
  // credentials
  'GEN_STALE',
  'UNSEAL_FAILED',
  'NGROK_AUTH_REFUSED',
  // the edge
  'NGROK_LIMIT',
  'NGROK_URL_TAKEN',
  'NGROK_ACL_DENIED',
  'NGROK_CONFIG',
  'NGROK_ACCOUNT',
  'NGROK_VERSION',
  'NGROK_NET',
  // the broker
  'BROKER_NET',
  'BROKER_AUTH_REFUSED',
  'BROKER_TLS',
  'BROKER_CLOCK',
  'BROKER_REFUSED',
  'BROKER_FILTER_REFUSED',
  'BROKER_PUBLISH_DENIED',
  'BROKER_FLOOD',
  'DUPLICATE_CLIENT',
  'CLIENT_CERT_INVALID',
  'CLIENT_CERT_EXPIRING',
  // ngrok's API
  'API_AUTH_REFUSED',
  'API_NOT_FOUND',
  'API_RATE_LIMITED',
  'API_REFUSED',
  'API_UNAVAILABLE',
  // the operator's side
  'NOT_FINISHED',
  'SESSIONS_REMAIN',
  'DAEMON_UNREACHABLE',
  'PIN_MISSING',
  'PIN_MISMATCH',
  // the device
  'TUNNEL_CRASHED',
  'UPSTREAM_DOWN',
  'UPSTREAM_TLS',
  'DEADLINE',
  'CANCELLED',
  'SUPERSEDED',
  'STORE_FAILED',
  'CONFIG_INVALID',
  'INTERNAL',
] as const;

export type FaultCode = (typeof FAULT_CODES)[number];

/** A failure as a value. `message` is one sentence that a technician can act on and never holds a secret. */
export interface Fault {
  readonly code: FaultCode;
  readonly message: string;
  /** True when the same attempt can succeed later without anybody changing anything. */
  readonly retryable: boolean;
  /** ngrok's own code (`ERR_NGROK_107`), where ngrok gave one. */
  readonly ngrokCode?: string;
}

/** Builds a `Fault`; leaves `ngrokCode` out when there is none. */
export const fault = (code: FaultCode, message: string, retryable: boolean, ngrokCode?: string): Fault =>
  ngrokCode === undefined ? { code, message, retryable } : { code, message, retryable, ngrokCode };

/** The success-or-fault result of an operation whose failure is expected. */
export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: Fault };

export const ok = <T>(value: T): Result<T> => ({ ok: true, value });
export const failed = (f: Fault): { readonly ok: false; readonly fault: Fault } => ({ ok: false, fault: f });

/** For the few places that must throw: carries a `Fault` through code that only knows exceptions. */
export class LockkeeperError extends Error {
  override readonly name = 'LockkeeperError';
  readonly fault: Fault;
  constructor(f: Fault, options?: { cause?: unknown }) {
    super(`${f.code}: ${f.message}`, options);
    this.fault = f;
  }
}

/** Exit codes of both programs (sysexits where one fits). */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 64,
  unavailable: 69,
  internal: 70,
  stateDir: 73,
  timeout: 75,
  config: 78,
} as const;
