import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import net, { type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A server on loopback behind an endpoint. Closed when the test ends. */
export interface Upstream {
  readonly port: number;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Connections open now. */
  readonly open: number;
  close(): void;
}

const track = async (server: Server): Promise<Upstream> => {
  const sockets = new Set<Socket>();
  let accepted = 0;
  server.on('connection', (socket: Socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(close);
  return {
    port: address.port,
    get accepted() {
      return accepted;
    },
    get open() {
      return sockets.size;
    },
    close,
  };
};

/** An HTTP upstream. */
export const httpUpstream = (
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Upstream> => track(createServer(handle));

/** A TCP upstream whose sockets are half-open. */
export const tcpUpstream = (handle: (socket: Socket) => void): Promise<Upstream> =>
  track(net.createServer({ allowHalfOpen: true }, handle));

/** Answers each request with its path. */
export const pathUpstream = (): Promise<Upstream> =>
  httpUpstream((request, response) => response.end(`path ${request.url ?? ''}`));

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
