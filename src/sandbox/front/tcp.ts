import { createServer, type Server, type Socket } from 'node:net';
import type { Connections } from './connections.ts';
import type { FrontContext } from './front-context.ts';
import { closed, listening } from './listening.ts';
import { admit, joinRaw } from './raw-connection.ts';
import { pick, tcpMembers } from './route.ts';

/** The loopback ports of tcp endpoints. */
export interface TcpPorts {
  /** Opens a port (0: a free one) or shares the one that is open. Rejects when somebody else has it. */
  open(port: number): Promise<number>;
  /** Stops listening; connections that stand go on. */
  close(port: number): Promise<void>;
  closeAll(): Promise<void>;
}

export const createTcpPorts = (host: string, context: FrontContext, connections: Connections): TcpPorts => {
  const servers = new Map<number, Server>();
  /** Ports on their way to be opened, so that two binds at once share one. */
  const opening = new Map<number, Promise<number>>();

  const serve = (port: number, socket: Socket): void => {
    connections.take(socket);
    const endpoint = pick(tcpMembers(context.edge(), port), context.random);
    if (endpoint === undefined) {
      socket.destroy();
      return;
    }
    const rules = context.rulesOf(endpoint);
    const ends = admit(socket, endpoint, rules);
    if (ends !== null) joinRaw(context.opener, socket, endpoint, rules, ends, false);
  };

  const openNew = async (wanted: number): Promise<number> => {
    let port = wanted;
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => serve(port, socket));
    port = await listening(server, host, wanted);
    servers.set(port, server);
    return port;
  };

  const stop = (port: number): Promise<void> => {
    const server = servers.get(port);
    servers.delete(port);
    return server === undefined ? Promise.resolve() : closed(server);
  };

  return {
    open: (port) => {
      if (servers.has(port)) return Promise.resolve(port);
      if (port === 0) return openNew(0);
      const pending = opening.get(port) ?? openNew(port).finally(() => opening.delete(port));
      opening.set(port, pending);
      return pending;
    },
    close: (port) => {
      // The port is free at once; waiting for standing connections would hold up the one who unbinds.
      stop(port).catch(() => undefined);
      return Promise.resolve();
    },
    closeAll: async () => {
      await Promise.all([...servers.keys()].map(stop));
    },
  };
};
