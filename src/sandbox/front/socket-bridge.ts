import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { listening } from './listening.ts';
import { splice } from './splice.ts';

/**
 * A real socket whose far end is joined with `stream`. Node's HTTP/2 aborts the process by an internal assertion when
 * a stream that is no socket goes away at the wrong moment; over a loopback connection it does not.
 */
export const socketOver = async (stream: Duplex): Promise<Socket> => {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  const port = await listening(server, '127.0.0.1', 0);
  const near = connect({ port, host: '127.0.0.1', noDelay: true });
  near.on('error', () => {
    near.destroy();
    stream.destroy();
  });
  server.on('connection', (far) => {
    far.on('error', () => far.destroy());
    // Some other program may have found the port in the meantime.
    if (far.remotePort !== near.localPort) {
      far.destroy();
      return;
    }
    server.close();
    splice(far, stream);
  });
  await once(near, 'connect');
  return near;
};
