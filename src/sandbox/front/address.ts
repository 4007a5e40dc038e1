import type { Socket } from 'node:net';

/** Both ends of a visitor's connection. */
export interface Ends {
  readonly clientIp: string;
  readonly clientPort: number;
  readonly serverIp: string;
  readonly serverPort: number;
}

/** An address without the prefix that a dual-stack socket puts before IPv4. */
const plain = (address: string | undefined): string =>
  address === undefined ? '0.0.0.0' : address.startsWith('::ffff:') ? address.slice(7) : address;

/** Reads both ends while the socket still knows them; a closed one gives zeros. */
export const endsOf = (socket: Socket): Ends => ({
  clientIp: plain(socket.remoteAddress),
  clientPort: socket.remotePort ?? 0,
  serverIp: plain(socket.localAddress),
  serverPort: socket.localPort ?? 0,
});

/** `ip:port` as a proxy stream's preamble wants it, IPv6 in brackets. */
export const clientAddrOf = (ends: Ends): string =>
  ends.clientIp.includes(':')
    ? `[${ends.clientIp}]:${ends.clientPort}`
    : `${ends.clientIp}:${ends.clientPort}`;
