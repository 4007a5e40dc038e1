/** The one file that reads the SDK's error texts. They are never passed on: that of ERR_NGROK_105 quotes the authtoken. */
import { type Fault, type FaultCode, fault } from '../core/errors.ts';
import { classifyNgrok } from '../core/ngrok-codes.ts';

/** What was being tried when the SDK refused. */
export type SdkStep = 'connect' | 'bind' | 'stopped';

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** `ERR_NGROK_107` out of whatever the SDK threw: its `errorCode`, else the last code in the text. */
export const ngrokCodeOf = (error: unknown): string | undefined => {
  if (typeof error === 'object' && error !== null && 'errorCode' in error) {
    const { errorCode } = error;
    if (typeof errorCode === 'string' && /^ERR_NGROK_\d+$/.test(errorCode)) return errorCode;
  }
  return textOf(error)
    .match(/ERR_NGROK_\d+/g)
    ?.at(-1);
};

const SENTENCES: Partial<Record<FaultCode, string>> = {
  NGROK_AUTH_REFUSED: 'ngrok refuses this authtoken',
  NGROK_ACL_DENIED: 'The rules of this authtoken forbid the address',
  NGROK_LIMIT: 'A limit of the ngrok account is reached',
  NGROK_URL_TAKEN: 'The URL is online elsewhere, and pooling is not on for both',
  NGROK_CONFIG: 'ngrok does not accept this configuration',
  NGROK_ACCOUNT: 'The ngrok account is in the way',
  NGROK_VERSION: 'ngrok does not accept this version of the agent',
  NGROK_NET: 'ngrok could not serve this now',
};

/** The codes whose cause a technician can name more closely than their class. */
const CLOSER: Readonly<Record<string, string>> = {
  ERR_NGROK_105: 'The authtoken does not have the form of one',
  ERR_NGROK_107: 'The authtoken is unknown to ngrok, or was revoked',
  ERR_NGROK_108: 'The account has no agent session left',
  ERR_NGROK_300: 'The authtoken was revoked',
  ERR_NGROK_307: 'The TCP address is not reserved for this account',
  ERR_NGROK_326: 'The host name is malformed',
  ERR_NGROK_4018: 'The session has no authtoken',
  ERR_NGROK_9026: 'ngrok does not accept the traffic policy',
};

/** A fault for a refusal by the SDK or the edge, told in our own words. */
export const sdkFault = (error: unknown, step: SdkStep): Fault => {
  const code = ngrokCodeOf(error);
  if (code !== undefined) {
    const verdict = classifyNgrok(code);
    const sentence = CLOSER[code] ?? SENTENCES[verdict.code] ?? 'ngrok refused';
    return fault(verdict.code, `${sentence} (${code}).`, verdict.retryable, code);
  }
  const text = textOf(error);
  if (/invalid server address/i.test(text)) {
    return fault('CONFIG_INVALID', 'The server address of the edge is not of the form host:port.', false);
  }
  if (/os error 2\b/.test(text)) {
    return fault('CONFIG_INVALID', 'A file that the agent session needs is missing.', false);
  }
  if (/tls handshake/i.test(text)) {
    return fault(
      'NGROK_NET',
      'The TLS handshake with the edge failed: check its certificate, caFile and the clock of this device.',
      true,
    );
  }
  if (/tcp connection/i.test(text)) {
    return fault('NGROK_NET', 'No TCP connection to the edge.', true);
  }
  switch (step) {
    case 'connect':
      return fault('NGROK_NET', 'The agent session could not be opened.', true);
    case 'bind':
      return fault('NGROK_NET', 'The endpoint could not be bound.', true);
    case 'stopped':
      return fault('NGROK_NET', 'The edge ended the endpoint.', true);
  }
};

/** The session id out of the SDK's log line `Session created "ts_…"`; undefined for every other line. */
export const sessionIdIn = (message: string): string | undefined => /\b(ts_[0-9A-Za-z]+)/.exec(message)?.[1];

/** True for the SDK's log line that says it could not dial where it forwards to; it names neither endpoint nor cause. */
export const isDialWarning = (message: string): boolean => message.includes('error connecting to upstream');
