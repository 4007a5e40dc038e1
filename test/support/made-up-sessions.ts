/** Sessions and endpoints that nobody opened, for tests of whoever lists them by the hundred. */
import type { Credential, EdgeEndpoint, EdgeSession } from '../../src/sandbox/contract.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { modelEndpoint } from './edge-model.ts';

export interface MadeUpSession {
  readonly credential: string;
  readonly device: string;
  readonly startedAgoMs?: number;
  readonly host?: string;
}

let serial = 0;
const idOf = (prefix: string, n: number): string => `${prefix}_${String(n).padStart(27, '0')}`;

/** Puts a session into the edge's book; its agent does nothing. */
export const addSession = (
  sandbox: Sandbox,
  { credential, device, startedAgoMs, host }: MadeUpSession,
): string => {
  serial += 1;
  const id = idOf('ts', serial);
  const owner: Credential = {
    id: credential,
    name: device,
    account: 'A',
    ownerId: '',
    acl: [],
    maxSessions: null,
  };
  const endpoints = new Map<string, EdgeEndpoint>();
  if (host !== undefined) {
    const endpoint = modelEndpoint(
      { id: idOf('ep', serial), proto: 'https', host, sessionId: id, pooled: true, createdAtMs: Date.now() },
      0,
    );
    endpoints.set(endpoint.id, endpoint);
  }
  const session: EdgeSession = {
    id,
    credential: owner,
    startedAtMs: Date.now() - (startedAgoMs ?? 600_000),
    metadata: JSON.stringify({ device }),
    remoteAddr: '192.0.2.1:40000',
    os: 'linux',
    agentVersion: '1.7.0',
    clientInfo: '',
    unsupported: { stop: 'no', restart: 'no', update: 'no' },
    command: () => Promise.resolve(null),
    endpoints,
  };
  (sandbox.edge.sessions as Map<string, EdgeSession>).set(id, session);
  return id;
};

/** Takes it away again: the sandbox closes real ones only. */
export const dropSessions = (sandbox: Sandbox): void => {
  (sandbox.edge.sessions as Map<string, EdgeSession>).clear();
};
