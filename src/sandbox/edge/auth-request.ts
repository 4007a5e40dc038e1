import { isJson, type Json, numberAt, objectAt, textAt } from './fields.ts';
import type { AgentVersion } from './settings.ts';

const NANOSECONDS_PER_MS = 1_000_000;
/** What the SDK's own defaults come to, for an agent that names nothing. */
const DEFAULT_SILENCE_LIMIT_MS = 25_000;

/** An Auth as the agent sent it. */
export interface AuthRequest {
  /** Empty for a new session, else the id of the one to continue. */
  readonly clientId: string;
  readonly authtoken: string;
  readonly cookie: string;
  readonly metadata: string;
  readonly os: string;
  readonly agent: AgentVersion;
  /** Heartbeat interval and tolerance together: silence for longer means that the agent is gone. */
  readonly silenceLimitMs: number;
  /** Empty when the agent has a handler; else the reason why not. */
  readonly unsupported: { readonly stop: string; readonly restart: string; readonly update: string };
}

const silenceLimitMs = (extra: Json): number => {
  const nanoseconds = numberAt(extra, 'HeartbeatInterval') + numberAt(extra, 'HeartbeatTolerance');
  return nanoseconds > 0 ? nanoseconds / NANOSECONDS_PER_MS : DEFAULT_SILENCE_LIMIT_MS;
};

/** Null when the request is not an Auth, or none of its protocol versions is ours. */
export const parseAuth = (request: unknown): AuthRequest | null => {
  if (!isJson(request)) return null;
  const versions = request['Version'];
  if (!Array.isArray(versions) || !versions.includes('3')) return null;
  const extra = objectAt(request, 'Extra');
  return {
    clientId: textAt(request, 'ClientId'),
    authtoken: textAt(extra, 'AuthToken'),
    cookie: textAt(extra, 'Cookie'),
    metadata: textAt(extra, 'Metadata'),
    os: textAt(extra, 'OS'),
    agent: {
      version: textAt(extra, 'Version'),
      clientType: textAt(extra, 'ClientType'),
      userAgent: textAt(extra, 'UserAgent'),
    },
    silenceLimitMs: silenceLimitMs(extra),
    unsupported: {
      stop: textAt(extra, 'StopUnsupportedError'),
      restart: textAt(extra, 'RestartUnsupportedError'),
      update: textAt(extra, 'UpdateUnsupportedError'),
    },
  };
};
