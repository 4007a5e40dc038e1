import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createAccounts, type SandboxAccounts } from '../../src/sandbox/api/accounts.ts';
import {
  type CertificateAuthority,
  createCertificateAuthority,
  issueEdgeCertificate,
  issueFrontCertificate,
} from '../../src/sandbox/certificates.ts';
import { createEdge, type Edge } from '../../src/sandbox/edge/edge.ts';
import type { EdgeSettings } from '../../src/sandbox/edge/settings.ts';
import { createFrontEnd, type RunningFrontEnd } from '../../src/sandbox/front/front-end.ts';
import { type ConnectAsk, type SdkAgent, startSdkAgent } from './sdk-agent.ts';

export const DOMAIN = 'edge.test';
export const TOKEN = 'tok default';

/** An edge with its real front end and accounts, and real SDKs on demand. All of it ends with the test. */
export interface EdgeWorld {
  readonly edge: Edge;
  readonly front: RunningFrontEnd;
  readonly accounts: SandboxAccounts;
  readonly authority: CertificateAuthority;
  /** Exceptions inside the edge; checked to be none when the test ends. */
  readonly bugs: readonly unknown[];
  /** A process with the SDK in it, not connected. */
  agent(): Promise<SdkAgent>;
  /** The same, connected with the default token. */
  connected(ask?: Partial<ConnectAsk>): Promise<SdkAgent>;
}

export const startEdgeWorld = async (settings: Partial<EdgeSettings> = {}): Promise<EdgeWorld> => {
  const authority = await createCertificateAuthority(systemClock.wall());
  const accounts = createAccounts(systemClock);
  accounts.setToken(TOKEN, { name: 'default' });
  const bugs: unknown[] = [];
  const front = await createFrontEnd({
    host: '127.0.0.1',
    domain: DOMAIN,
    edge: () => edge,
    certificates: await issueFrontCertificate(authority, DOMAIN),
    clock: systemClock,
    random: systemClock.random,
  });
  const edge = await createEdge({
    host: '127.0.0.1',
    port: 0,
    domain: DOMAIN,
    tls: await issueEdgeCertificate(authority),
    accounts,
    frontEnd: () => front,
    clock: systemClock,
    settings,
  });
  edge.events.on('bug', (error) => bugs.push(error));
  const agents: SdkAgent[] = [];
  onTestFinished(async () => {
    await Promise.all(agents.map((agent) => agent.kill()));
    await edge.close();
    await front.close();
    if (bugs.length > 0) throw new AggregateError(bugs, 'the edge met a bug');
  });
  const agent = async (): Promise<SdkAgent> => {
    const started = await startSdkAgent();
    agents.push(started);
    return started;
  };
  return {
    edge,
    front,
    accounts,
    authority,
    bugs,
    agent,
    connected: async (ask = {}) => {
      const started = await agent();
      await started.connect({ serverAddr: edge.addr, caPem: authority.cert, authtoken: TOKEN, ...ask });
      return started;
    },
  };
};
