import { connect, isIP } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { ProbeEdge } from '../daemon/ports.ts';
import { DEFAULT_SERVER_ADDR } from './edge-socket.ts';

const PROBE_DEADLINE_MS = 2_000;

/**
 * Makes the probe of the edge at `serverAddr` (empty for ngrok's own): true when its port takes a TCP connection, or
 * completes a TLS handshake, within 2 s. Whose certificate it is does not matter here: the session checks that.
 */
export const probeEdge = (serverAddr: string): ProbeEdge => {
  const [host = '', portText = '443'] = (serverAddr || DEFAULT_SERVER_ADDR).split(':');
  const port = Number(portText);
  return (depth) =>
    new Promise((resolve) => {
      const socket =
        depth === 'tcp'
          ? connect({ host, port })
          : tlsConnect({
              host,
              port,
              rejectUnauthorized: false,
              ...(isIP(host) === 0 ? { servername: host } : {}),
            });
      const settle = (isUp: boolean): void => {
        clearTimeout(deadline);
        socket.destroy();
        resolve(isUp);
      };
      const deadline = setTimeout(() => settle(false), PROBE_DEADLINE_MS);
      socket.once(depth === 'tcp' ? 'connect' : 'secureConnect', () => settle(true));
      socket.on('error', () => settle(false));
      socket.once('close', () => settle(false));
    });
};
