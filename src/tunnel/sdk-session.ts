import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { loggingCallback, type Session, SessionBuilder } from '@ngrok/ngrok';
import type { Clock } from '../core/clock.ts';
import { type Fault, failed, fault, ok, type Result } from '../core/errors.ts';
import type { StartConfig } from './messages.ts';
import { sdkFault, sessionIdIn } from './sdk-errors.ts';
import { within } from './within.ts';

/** The SDK's callbacks, each called on our own stack: what these do cannot reach the SDK. */
export interface SdkCallbacks {
  disconnected(): void;
  /** Round trip in milliseconds, or null when no answer came in time. */
  beat(latencyMs: number | null): void;
  remote(op: 'stop' | 'restart'): void;
  /** A line of the SDK's log at WARN or ERROR, unscrubbed. */
  log(level: 'warn' | 'error', target: string, message: string): void;
}

export interface Connected {
  readonly session: Session;
  readonly sessionId: string;
  readonly tookMs: number;
}

/** How long to wait for the log line that tells the session's id: the SDK has no call for it. */
const SESSION_ID_WAIT_MS = 250;

/**
 * Runs a callback so that nothing comes back into the SDK: a disconnect handler that throws, or returns anything but a
 * boolean, aborts the whole process.
 */
const guarded = <A extends readonly unknown[]>(fn: (...args: A) => void): ((...args: A) => true) => {
  return (...args) => {
    try {
      fn(...args);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
    return true;
  };
};

/** Reads a PEM file and checks that it holds a certificate: the SDK takes junk and only fails at the handshake. */
const readAuthorities = async (path: string): Promise<Result<Uint8Array>> => {
  try {
    const pem = await readFile(path);
    new X509Certificate(pem);
    return ok(pem);
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'holds no certificate';
    return failed(fault('CONFIG_INVALID', `ngrok.caFile ${path} ${why} or cannot be read.`, true));
  }
};

/** The address the SDK is to dial; empty leaves it to the SDK. */
export const serverAddrOf = (config: Pick<StartConfig, 'serverAddr' | 'region'>): string => {
  if (config.serverAddr !== '') return config.serverAddr;
  if (config.region === '' || config.region === 'auto') return '';
  return `connect.${config.region}.ngrok-agent.com:443`;
};

/**
 * Opens the session. Resolves with a fault after `connectDeadlineMs`; the SDK's call cannot be cancelled and blocks
 * every other one in the process, so the process is to end then.
 */
export const connectSession = async (
  config: StartConfig,
  clock: Clock,
  callbacks: SdkCallbacks,
): Promise<Result<Connected>> => {
  const startedAtMs = clock.now();
  let sessionId = '';
  let sawSessionId = (): void => undefined;
  const idSeen = new Promise<void>((resolve) => {
    sawSessionId = resolve;
  });
  loggingCallback(
    guarded((level: string, target: string, message: string) => {
      const id = sessionIdIn(message);
      if (id !== undefined) {
        sessionId = id;
        sawSessionId();
      }
      const isError = /error/i.test(level);
      if (isError || /warn/i.test(level)) callbacks.log(isError ? 'error' : 'warn', target, message);
    }),
    // The line with the session's id is at INFO; a session writes a handful of those in its life.
    'INFO',
  );

  const authorities = config.caFile === '' ? null : await readAuthorities(config.caFile);
  if (authorities !== null && !authorities.ok) return authorities;

  let connecting: Promise<Session>;
  try {
    const builder = new SessionBuilder();
    builder
      .authtoken(config.authtoken)
      .clientInfo('lockkeeper', config.clientVersion)
      .metadata(config.metadata)
      .heartbeatInterval(config.heartbeatIntervalS)
      .heartbeatTolerance(config.heartbeatToleranceS)
      .handleHeartbeat(guarded((latency: number | null) => callbacks.beat(latency)))
      .handleDisconnection(guarded(() => callbacks.disconnected()))
      .handleStopCommand(guarded(() => callbacks.remote('stop')))
      .handleRestartCommand(guarded(() => callbacks.remote('restart')));
    const addr = serverAddrOf(config);
    if (addr !== '') builder.serverAddr(addr);
    if (authorities !== null) builder.caCert(authorities.value);
    connecting = builder.connect();
  } catch (error) {
    return failed(sdkFault(error, 'connect'));
  }

  const outcome = await within(clock, config.connectDeadlineMs, connecting);
  if (outcome.kind === 'expired') return failed(noAnswer(config.connectDeadlineMs));
  if (outcome.kind === 'rejected') return failed(sdkFault(outcome.error, 'connect'));
  const tookMs = Math.round(clock.now() - startedAtMs);
  if (sessionId === '') await within(clock, SESSION_ID_WAIT_MS, idSeen);
  return ok({ session: outcome.value, sessionId, tookMs });
};

const noAnswer = (ms: number): Fault =>
  fault('NGROK_NET', `The edge did not answer within ${Math.round(ms / 1000)} s.`, true);
