import { createServer } from 'node:net';

/**
 * A loopback port that nothing listens on at this moment. Another process can take it before it is used: prefer to
 * listen on port 0 and read the port back, and use this only where the port must be known beforehand or must be dead.
 */
export const freePort = (host = '127.0.0.1'): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port);
        else reject(new Error('the system gave no port'));
      });
    });
  });
