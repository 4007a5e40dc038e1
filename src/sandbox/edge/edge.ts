/** The agent edge: what an agent dials. Holds sessions and endpoints, and opens streams into them. */
import { createSecureContext } from 'node:tls';
import type { Clock } from '../../core/clock.ts';
import type { Accounts, EdgeEndpoint, EdgeState, FrontEnd } from '../contract.ts';
import { AgentConnection } from './connection.ts';
import type { EdgeContext } from './context.ts';
import { Door } from './door.ts';
import { createEdgeEvents, type EdgeEvents, type RefusedBind } from './events.ts';
import { accountKey, nameKey, namesFor, Registry, tcpKey } from './registry.ts';
import { SessionBook } from './session-book.ts';
import { DEFAULT_SETTINGS, type EdgeSettings } from './settings.ts';
import { TcpPorts } from './tcp-ports.ts';

export interface EdgeOptions {
  readonly host: '127.0.0.1';
  /** 0 takes any; never 80, which the SDK turns into 443. */
  readonly port: number;
  /** Random names are made under it. */
  readonly domain: string;
  readonly tls: { readonly key: string; readonly cert: string };
  readonly accounts: Accounts;
  /** Asked at each use, since front ends and edge are made in a circle. */
  readonly frontEnd: () => FrontEnd;
  readonly clock: Clock;
  readonly region?: string;
  readonly plan?: string;
  readonly settings?: Partial<EdgeSettings>;
}

/** What can go wrong with an edge, on demand. */
export interface EdgeFaults {
  /** Cuts every agent connection. `go-away` makes agents dial anew while the old connections still serve. */
  drop(how: 'fin' | 'rst' | 'go-away'): void;
  /** Closes the agent port, or opens the same one again. Live connections stay. */
  refuse(isOn: boolean): Promise<void>;
  /** A black hole: connections stay open, nothing is read or written; off: all goes on where it stood. */
  silence(isOn: boolean): void;
  /** Every RPC answer leaves that much later. */
  delay(ms: number): void;
}

export interface Edge extends EdgeState {
  /** `localhost:PORT`, for the agent's server address. */
  readonly addr: string;
  /** Behaviour that may be changed at any time. */
  readonly settings: EdgeSettings;
  readonly events: EdgeEvents;
  readonly faults: EdgeFaults;
  /** The latest refused binds, oldest first. */
  readonly refusals: readonly RefusedBind[];
  /** Members with internal binding, which only endpoints of the same account may reach. */
  internalMembers(account: string, kind: 'http' | 'https' | 'tls', host: string): readonly EdgeEndpoint[];
  /** Cuts all agents, closes all ports, clears all timers. */
  close(): Promise<void>;
}

const MOST_REFUSALS = 200;

/** Opens the agent port. Rejects when it is taken. */
export const createEdge = async (options: EdgeOptions): Promise<Edge> => {
  const { clock, accounts, frontEnd } = options;
  const settings: EdgeSettings = { ...DEFAULT_SETTINGS, ...options.settings };
  const events = createEdgeEvents();
  const connections = new Set<AgentConnection>();
  const refusals: RefusedBind[] = [];
  const sessions = new SessionBook();
  let answerDelayMs = 0;

  const tcpPorts = new TcpPorts(
    frontEnd,
    (key) => registry.isInUse(key),
    (error) => events.emit('bug', error),
  );
  const registry = new Registry(clock, (key) => {
    const port = /^tcp\|(\d+)$/.exec(key)?.[1];
    if (port !== undefined) tcpPorts.close(Number(port));
  });
  const context: EdgeContext = {
    domain: options.domain,
    region: options.region ?? 'local',
    plan: options.plan ?? 'Loopback',
    clock,
    accounts,
    frontEnd,
    settings,
    events,
    sessions,
    registry,
    tcpPorts,
    isSilent: () => door.isSilent,
    answerDelayMs: () => answerDelayMs,
    refused: (refusal) => {
      refusals.push(refusal);
      if (refusals.length > MOST_REFUSALS) refusals.shift();
      events.emit('bind-refused', refusal);
    },
  };
  const door = new Door(
    options.host,
    createSecureContext({ ...options.tls, minVersion: 'TLSv1.2' }),
    (knock) => {
      connections.add(new AgentConnection(context, knock, (connection) => connections.delete(connection)));
    },
  );
  await door.listen(options.port);
  accounts.onRevoked((credentialId, when) => {
    if (when !== 'at-once') return;
    for (const { session } of [...connections]) {
      if (session?.credential.id === credentialId) session.cut('fin');
    }
  });

  const firstMembers = (keys: readonly string[]): readonly EdgeEndpoint[] => {
    for (const key of keys) {
      const members = registry.members(key);
      if (members.length > 0) return members;
    }
    return [];
  };

  return {
    addr: `localhost:${door.port}`,
    settings,
    events,
    refusals,
    sessions: sessions.live,
    faults: {
      drop: (how) => {
        if (how !== 'go-away') door.cutAll(how);
        else for (const connection of [...connections]) connection.goAway('the edge is moving');
      },
      refuse: (isOn) => door.refuse(isOn),
      silence: (isOn) => door.silence(isOn),
      delay: (ms) => {
        answerDelayMs = ms;
      },
    },
    members: (kind, host) => firstMembers(namesFor(host.toLowerCase()).map((name) => nameKey(kind, name))),
    internalMembers: (account, kind, host) =>
      firstMembers(namesFor(host.toLowerCase()).map((name) => accountKey('internal', account, kind, name))),
    tcpMembers: (port) => registry.members(tcpKey(port)),
    cut: (sessionId, how) => sessions.live.get(sessionId)?.cut(how),
    stopEndpoint: (endpointId, message, code) => {
      const endpoint = registry.find(endpointId);
      endpoint?.owner.stopEndpoint(endpoint, message, code);
    },
    close: async () => {
      await door.close();
      registry.close();
      await tcpPorts.idle();
    },
  };
};
