/** The network as the doctor touches it: names, ports, handshakes. Loopback never goes through a proxy: no agent is used. */
import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { HandshakeFacts } from './judge-tls.ts';

const DEADLINE_MS = 5000;

export interface Place {
  readonly host: string;
  readonly port: number;
  /** Protocol to name in a TLS handshake; empty or left out for none. */
  readonly alpn?: string;
}

/** Addresses of a name; the resolver's code where there are none. */
export const resolveName = async (
  host: string,
): Promise<{ readonly addresses: readonly string[]; readonly error: string | null }> => {
  try {
    const all = await lookup(host, { all: true });
    return { addresses: all.map(({ address }) => address), error: null };
  } catch (error) {
    return { addresses: [], error: (error as NodeJS.ErrnoException).code ?? 'unknown' };
  }
};

/** Null when the port takes a connection, else the system's code. */
export const tryPort = ({ host, port }: Place): Promise<string | null> =>
  new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (code: string | null): void => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(code);
    };
    const deadline = setTimeout(() => settle('ETIMEDOUT'), DEADLINE_MS);
    socket.once('connect', () => settle(null));
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? 'unknown'));
  });

const oneLine = (name: unknown): string =>
  typeof name === 'object' && name !== null
    ? String((name as { O?: string; CN?: string }).O ?? (name as { CN?: string }).CN ?? '')
    : '';

/**
 * Shakes hands and looks at the certificate, also at one that is not trusted. `other-protocol` when the peer does not
 * know the one that was named, null when there was no handshake in time.
 */
export const tryHandshake = (
  { host, port, alpn }: Place,
  ca: Buffer | null,
): Promise<HandshakeFacts | 'other-protocol' | null> =>
  new Promise((resolve) => {
    const socket = tlsConnect({
      host,
      port,
      rejectUnauthorized: false,
      ...(ca === null ? {} : { ca }),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(alpn ? { ALPNProtocols: [alpn] } : {}),
    });
    const settle = (facts: HandshakeFacts | 'other-protocol' | null): void => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(facts);
    };
    const deadline = setTimeout(() => settle(null), DEADLINE_MS);
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerCertificate();
      const error: unknown = socket.authorizationError;
      settle({
        host,
        error: socket.authorized
          ? null
          : error instanceof Error
            ? ((error as NodeJS.ErrnoException).code ?? error.message)
            : String(error),
        subject: oneLine(certificate.subject),
        issuer: oneLine(certificate.issuer),
        notBeforeMs: Date.parse(certificate.valid_from),
        notAfterMs: Date.parse(certificate.valid_to),
      });
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) =>
      settle(code?.endsWith('NO_APPLICATION_PROTOCOL') ? 'other-protocol' : null),
    );
    socket.once('close', () => settle(null));
  });
