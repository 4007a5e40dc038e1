/** The one place that reads the errors of MQTT.js, Node's TLS and its sockets, and says what they mean for the link. */
import { type Fault, fault } from '../core/errors.ts';

/** What a lost connection or a failed attempt asks for; the reconnect policy and the protocol choice go by it. */
export type FailureKind =
  /** Not reached, or silence. */
  | 'network'
  /** The broker itself goes, moves or is busy: the whole fleet is concerned. */
  | 'broker-wide'
  /** Closed without a word after the transport stood and before CONNACK. */
  | 'closed-early'
  /** Closed without a word after CONNACK. */
  | 'closed'
  /** This version of MQTT is not spoken there. */
  | 'version'
  | 'auth'
  /** The broker's certificate does not pass. */
  | 'tls'
  /** Our certificate is over, or was refused. */
  | 'certificate'
  /** A certificate that is not valid yet: a clock is behind. */
  | 'clock'
  /** A file that the connection needs cannot be used. */
  | 'files'
  /** Refused with another reason code. */
  | 'refused'
  /** Another client came with our id. */
  | 'taken-over'
  /** We left because of oversized messages. */
  | 'flood';

export interface Failure {
  readonly kind: FailureKind;
  readonly fault: Fault;
}

/** Validity of a certificate, epoch milliseconds. */
export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** What is known about a connection that ended. */
export interface Loss {
  /** `dialling`: no transport yet; `handshake`: transport stands, no CONNACK; `up`: after CONNACK. */
  readonly stage: 'dialling' | 'handshake' | 'up';
  /** First error seen, or null for a plain close. */
  readonly error: unknown;
  /** Reason code of an MQTT 5 DISCONNECT, or null. */
  readonly disconnectCode: number | null;
  /** URL without user info. */
  readonly broker: string;
  readonly wallMs: number;
  /** Validity of the client certificate that was offered, or null. */
  readonly certificate: Validity | null;
}

const AUTH_CODES: ReadonlySet<number> = new Set([4, 5, 133, 134, 135, 138, 140]);
const VERSION_CODES: ReadonlySet<number> = new Set([1, 132]);
const BROKER_WIDE_CODES: ReadonlySet<number> = new Set([3, 136, 137, 139, 152, 156, 157, 159]);
const TAKEN_OVER = 142;
const KEEP_ALIVE_TIMEOUT = 141;

/** TLS alerts by which a server refuses the client's certificate. */
const CERTIFICATE_ALERT =
  /ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|CERTIFICATE_REQUIRED|UNKNOWN_CA|ACCESS_DENIED|NO_CERTIFICATE|HANDSHAKE_FAILURE)/;

/** OpenSSL's names for a chain that does not pass, as Node puts them into `code`. */
const CHAIN_REASON: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'is expired by this clock',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'is signed by itself and not in mqtt.caFile',
  SELF_SIGNED_CERT_IN_CHAIN: 'comes from an authority that is not in mqtt.caFile',
  UNABLE_TO_GET_ISSUER_CERT: 'comes from an authority that is not in mqtt.caFile',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'comes from an authority that is not in mqtt.caFile',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'comes from an authority that is not in mqtt.caFile',
  ERR_TLS_CERT_ALTNAME_INVALID: 'is for another name',
  HOSTNAME_MISMATCH: 'is for another name',
  CERT_REVOKED: 'is revoked',
  // An authority was made anew under its old name.
  CERT_SIGNATURE_FAILURE: 'comes from an authority that only has the name of the one in mqtt.caFile',
  INVALID_CA: 'comes from a certificate that may not sign others',
  PATH_LENGTH_EXCEEDED: 'has a chain that is too long',
};

const NET_REASON: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses connections',
  ECONNRESET: 'reset the connection',
  EPIPE: 'closed the connection',
  ENOTFOUND: 'has a name that does not resolve',
  EAI_AGAIN: 'has a name that cannot be looked up now',
  ETIMEDOUT: 'does not answer',
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached: no network',
  ENETDOWN: 'cannot be reached: no network',
};

/** Reason codes of CONNACK and DISCONNECT in words, where more than the number helps. */
const REASON: Readonly<Record<number, string>> = {
  2: 'the client id is not accepted',
  3: 'the server is unavailable',
  4: 'bad user name or password',
  5: 'not authorised',
  130: 'protocol error',
  133: 'the client id is not accepted',
  134: 'bad user name or password',
  135: 'not authorised',
  136: 'the server is unavailable',
  137: 'the server is busy',
  138: 'banned',
  139: 'the server is shutting down',
  141: 'it heard nothing in time',
  142: 'another client took over this id',
  149: 'a packet was too large',
  151: 'a quota is used up',
  152: 'an administrator ended it',
  156: 'another server is to be used',
  157: 'the server moved',
  159: 'connections come too fast',
};

/** Text of a reason code: words where there are some, and the number. */
export const reasonText = (code: number): string => {
  const hex = `0x${code.toString(16).padStart(2, '0')}`;
  const words = REASON[code];
  return words === undefined ? `reason ${hex}` : `${words} (${hex})`;
};

/** `code` of an error: a number from MQTT, a string from Node; null without one. */
export const errorCode = (error: unknown): number | string | null => {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  const { code } = error;
  return typeof code === 'number' || typeof code === 'string' ? code : null;
};

/** The alert of TLS itself; its code differs by version of the library. */
const NO_SUCH_PROTOCOL = /no application protocol/i;

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 16);

const byReasonCode = (code: number, broker: string): Failure => {
  const says = `The broker ${broker} ended the connection: ${reasonText(code)}.`;
  if (VERSION_CODES.has(code))
    return {
      kind: 'version',
      fault: fault('BROKER_REFUSED', `The broker ${broker} does not speak this version of MQTT.`, true),
    };
  if (AUTH_CODES.has(code))
    return {
      kind: 'auth',
      fault: fault(
        'BROKER_AUTH_REFUSED',
        `The broker ${broker} refuses this device: ${reasonText(code)}.`,
        true,
      ),
    };
  if (code === TAKEN_OVER) return { kind: 'taken-over', fault: fault('DUPLICATE_CLIENT', says, true) };
  if (BROKER_WIDE_CODES.has(code)) return { kind: 'broker-wide', fault: fault('BROKER_REFUSED', says, true) };
  if (code === KEEP_ALIVE_TIMEOUT) return { kind: 'network', fault: fault('BROKER_NET', says, true) };
  return { kind: 'refused', fault: fault('BROKER_REFUSED', says, true) };
};

const byOwnCertificate = (loss: Loss, code: string): Failure => {
  const { certificate, wallMs, broker } = loss;
  if (certificate !== null && certificate.notBeforeMs > wallMs)
    return {
      kind: 'clock',
      fault: fault(
        'BROKER_CLOCK',
        `The client certificate is valid from ${day(certificate.notBeforeMs)}, this clock shows ${day(wallMs)}: the clock is behind, or the certificate is for later.`,
        true,
      ),
    };
  if (certificate !== null && certificate.notAfterMs < wallMs)
    return {
      kind: 'certificate',
      fault: fault(
        'BROKER_TLS',
        `The client certificate ended at ${day(certificate.notAfterMs)} and ${broker} refuses it.`,
        true,
      ),
    };
  const what = certificate === null ? 'wants a client certificate' : 'refuses the client certificate';
  return {
    kind: 'certificate',
    fault: fault('BROKER_TLS', `The broker ${broker} ${what} (${code}).`, true),
  };
};

const byNodeCode = (code: string, loss: Loss): Failure => {
  const { broker, wallMs } = loss;
  if (code.endsWith('_NOT_YET_VALID'))
    return {
      kind: 'clock',
      fault: fault(
        'BROKER_CLOCK',
        `The certificate of ${broker} is not valid yet; this clock shows ${day(wallMs)} and is probably behind.`,
        true,
      ),
    };
  const chain = CHAIN_REASON[code];
  if (chain !== undefined) {
    const clock = code === 'CERT_HAS_EXPIRED' ? ` (${day(wallMs)})` : '';
    return {
      kind: 'tls',
      fault: fault('BROKER_TLS', `The certificate of ${broker} ${chain}${clock} (${code}).`, true),
    };
  }
  if (CERTIFICATE_ALERT.test(code)) return byOwnCertificate(loss, code);
  if (loss.error instanceof Error && NO_SUCH_PROTOCOL.test(loss.error.message)) {
    const message = `The broker ${broker} does not know the protocol that mqtt.alpn names (${code}).`;
    return { kind: 'tls', fault: fault('BROKER_TLS', message, true) };
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_'))
    return {
      kind: 'tls',
      fault: fault('BROKER_TLS', `TLS with ${broker} fails (${code}): does that port speak TLS?`, true),
    };
  if (loss.stage !== 'dialling' && (code === 'ECONNRESET' || code === 'EPIPE')) return byClose(loss);
  const net = NET_REASON[code] ?? 'cannot be reached';
  return { kind: 'network', fault: fault('BROKER_NET', `The broker ${broker} ${net} (${code}).`, true) };
};

const byClose = (loss: Loss): Failure => {
  switch (loss.stage) {
    case 'dialling':
      return {
        kind: 'network',
        fault: fault('BROKER_NET', `The broker ${loss.broker} does not answer.`, true),
      };
    case 'handshake':
      return {
        kind: 'closed-early',
        fault: fault('BROKER_NET', `The broker ${loss.broker} closes the connection before it greets.`, true),
      };
    case 'up':
      return {
        kind: 'closed',
        fault: fault('BROKER_NET', `The broker ${loss.broker} closed the connection.`, true),
      };
  }
};

/** Says what a lost connection or a failed attempt means. No text holds a password or user info. */
export const classifyLoss = (loss: Loss): Failure => {
  if (loss.disconnectCode !== null && loss.disconnectCode >= 0x80)
    return byReasonCode(loss.disconnectCode, loss.broker);
  const code = errorCode(loss.error);
  if (typeof code === 'number') return byReasonCode(code, loss.broker);
  if (code !== null) return byNodeCode(code, loss);
  if (!(loss.error instanceof Error)) return byClose(loss);
  if (/timeout|keepalive/i.test(loss.error.message))
    return {
      kind: 'network',
      fault: fault('BROKER_NET', `The broker ${loss.broker} does not answer in time.`, true),
    };
  if (/^Unexpected server response: \d+$/.test(loss.error.message))
    return {
      kind: 'network',
      fault: fault(
        'BROKER_NET',
        `The address ${loss.broker} does not take WebSockets (${loss.error.message.slice(-3)}).`,
        true,
      ),
    };
  return byClose(loss);
};
