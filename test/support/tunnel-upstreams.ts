/** Upstreams for tests of the data path; each ends with the running test. */
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

const open = async (server: Server, sockets: Set<Socket>): Promise<number> => {
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
};

/** An HTTP upstream; resolves with its port. */
export const httpUpstream = (handler: RequestListener): Promise<number> =>
  open(createHttpServer({ keepAliveTimeout: 60_000 }, handler), new Set());

/** A raw upstream, half-open; resolves with its port. */
export const tcpUpstream = (handler: (socket: Socket) => void): Promise<number> =>
  open(createServer({ allowHalfOpen: true }, handler), new Set());
