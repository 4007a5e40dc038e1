/** The service that the demo's device makes reachable: a page, and one that takes its time. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Upstream {
  readonly port: number;
  close(): Promise<void>;
}

/** An answer that is under way for this long shows whether a swap of sessions lets requests finish. */
const SLOW_MS = 400;

/** Listens on a free loopback port. */
export const startUpstream = async (): Promise<Upstream> => {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'text/plain');
    if (request.url !== '/slow') {
      response.end('Hello from press 7.\n');
      return;
    }
    response.write('a slow ');
    setTimeout(() => response.end('answer\n'), SLOW_MS);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
