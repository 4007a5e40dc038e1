/** A real edge with front ends on loopback, and real tunnel processes against it. */
import { request } from 'node:http';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { BindSpec, UpstreamTarget } from '../../src/core/endpoint.ts';
import type { TunnelEvent } from '../../src/core/tunnel-event.ts';
import type { TunnelStart, Tunnels } from '../../src/daemon/ports.ts';
import { createAccounts, type SandboxAccounts } from '../../src/sandbox/api/accounts.ts';
import {
  createCertificateAuthority,
  issueEdgeCertificate,
  issueFrontCertificate,
} from '../../src/sandbox/certificates.ts';
import { createEdge, type Edge } from '../../src/sandbox/edge/edge.ts';
import type { EdgeSettings } from '../../src/sandbox/edge/settings.ts';
import { createFrontEnd, type RunningFrontEnd } from '../../src/sandbox/front/front-end.ts';
import { checkRunDir } from '../../src/tunnel/run-dir.ts';
import { defaultProcessEntry } from '../../src/tunnel/spawn-process.ts';
import { createTunnels, type TunnelsOptions } from '../../src/tunnel/tunnels.ts';
import { tempDir } from './temp-dir.ts';
import { waitFor } from './wait-for.ts';

export const LAB_TOKEN = `${'k'.repeat(27)}_${'Zq7'.repeat(7)}`;

type EventOf<T extends TunnelEvent['type']> = Extract<TunnelEvent, { type: T }>;

export interface TunnelLab {
  readonly edge: Edge;
  readonly front: RunningFrontEnd;
  readonly accounts: SandboxAccounts;
  readonly runDir: string;
  readonly caFile: string;
  readonly logs: string[];
  options(over?: Partial<TunnelsOptions>): TunnelsOptions;
  /** A supervisor's side; its tunnels are killed when the test ends. */
  supervisor(over?: Partial<TunnelsOptions>): LabSupervisor;
  /** One visitor's request; resolves with status and body. */
  get(host: string, path?: string): Promise<{ status: number; body: string }>;
}

export interface LabSupervisor {
  readonly tunnels: Tunnels;
  readonly events: TunnelEvent[];
  /** First event of a type, seen already or yet to come, that fits. */
  event<T extends TunnelEvent['type']>(
    type: T,
    fits?: (event: EventOf<T>) => boolean,
    deadlineMs?: number,
  ): Promise<EventOf<T>>;
  start(over?: Partial<TunnelStart>): void;
}

export const bindSpec = (
  name: string,
  upstream: Partial<UpstreamTarget>,
  over: Partial<BindSpec> = {},
): BindSpec => ({
  name,
  proto: 'http',
  url: `https://${name}.edge.test`,
  binding: 'public',
  metadata: '',
  pooling: true,
  metering: 'on',
  policy: '',
  upstream: { ref: 'hmi', host: '127.0.0.1', port: 1, ...upstream },
  closesAtMs: null,
  ...over,
});

const visit = (port: number, host: string, path: string): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    const visitor = request(
      { host: '127.0.0.1', port, path, headers: { host }, agent: false },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
        response.on('error', reject);
      },
    );
    visitor.on('error', reject);
    visitor.end();
  });

/** Makes a supervisor's side whose events are kept. */
export const labSupervisor = (options: TunnelsOptions): LabSupervisor => {
  const tunnels = createTunnels(options);
  const events: TunnelEvent[] = [];
  tunnels.onEvent((event) => events.push(event));
  onTestFinished(async () => {
    const running = tunnels.processes();
    for (const { tunnel } of running) tunnels.kill(tunnel);
    await waitFor(() => tunnels.processes().length === 0, { what: 'the end of all tunnel processes' });
  });
  return {
    tunnels,
    events,
    event: async <T extends TunnelEvent['type']>(
      type: T,
      fits?: (event: EventOf<T>) => boolean,
      deadlineMs = 15_000,
    ): Promise<EventOf<T>> => {
      const look = (): EventOf<T> | undefined =>
        events.find(
          (event): event is EventOf<T> => event.type === type && (fits?.(event as EventOf<T>) ?? true),
        );
      try {
        return (await waitFor(look, { what: `event ${type}`, deadlineMs })) as EventOf<T>;
      } catch (cause) {
        const seen = events
          .filter((event) => event.type !== 'counters')
          .map((event) => JSON.stringify(event));
        throw new Error(`no event ${type}; seen:\n${seen.join('\n')}`, { cause });
      }
    },
    start: (over = {}) =>
      tunnels.start({
        tunnel: 't1',
        slot: 'a',
        generation: 1,
        authtoken: LAB_TOKEN,
        connectDeadlineMs: 5_000,
        ...over,
      }),
  };
};

/** Starts an edge with its front ends; everything ends with the test. */
export const tunnelLab = async (settings: Partial<EdgeSettings> = {}): Promise<TunnelLab> => {
  const runDir = await tempDir('lk-');
  const authority = await createCertificateAuthority(Date.now());
  const caFile = `${await tempDir('lk-ca-')}/ca.pem`;
  await authority.writeTo(caFile);
  const accounts = createAccounts(systemClock);
  accounts.setToken(LAB_TOKEN, {});
  let edge: Edge | null = null;
  const front = await createFrontEnd({
    host: '127.0.0.1',
    domain: 'edge.test',
    edge: () => {
      if (edge === null) throw new Error('no edge yet');
      return edge;
    },
    certificates: await issueFrontCertificate(authority, 'edge.test'),
    clock: systemClock,
    random: () => systemClock.random(),
  });
  const running = await createEdge({
    host: '127.0.0.1',
    port: 0,
    domain: 'edge.test',
    tls: await issueEdgeCertificate(authority),
    accounts,
    frontEnd: () => front,
    clock: systemClock,
    settings,
  });
  edge = running;
  onTestFinished(async () => {
    await front.close();
    await running.close();
  });
  const problem = await checkRunDir(runDir);
  if (problem !== null) throw new Error(problem.message);
  const logs: string[] = [];
  const options: TunnelLab['options'] = (over = {}) => ({
    runDir,
    clock: systemClock,
    log: (level, fields, message) => logs.push(`${level} ${fields.target} ${message}`),
    serverAddr: running.addr,
    caFile,
    region: 'auto',
    metadata: '',
    clientVersion: '0.1.0',
    noDelay: true,
    heartbeatIntervalS: 5,
    heartbeatToleranceS: 5,
    graceS: 60,
    execPath: process.execPath,
    processEntry: defaultProcessEntry(),
    ...over,
  });
  return {
    edge: running,
    front,
    accounts,
    runDir,
    caFile,
    logs,
    options,
    supervisor: (over) => labSupervisor(options(over)),
    get: (host, path = '/') => visit(front.httpPort, host, path),
  };
};
