/** A TLS server before the edge: it shows whatever certificate a test wants, as a proxy that opens TLS does. */
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';
import { createCertificateAuthority, type KeyPair } from '../../src/sandbox/certificates.ts';

const DAY_MS = 86_400_000;

/** Certificates an edge may show; all but `proxy`'s are by authorities that `cas` names. */
export interface EdgeCertificates {
  /** PEM of the authorities that the device is told to believe. */
  readonly cas: string;
  readonly good: KeyPair;
  readonly notYet: KeyPair;
  readonly over: KeyPair;
  readonly otherName: KeyPair;
  readonly proxy: KeyPair;
}

export const makeEdgeCertificates = async (): Promise<EdgeCertificates> => {
  const now = Date.now();
  const names = { dns: ['localhost'], ip: ['127.0.0.1'] };
  const [own, later, past, proxy] = await Promise.all(
    [now, now + 3 * DAY_MS, now - 400 * DAY_MS, now].map(createCertificateAuthority),
  );
  if (own === undefined || later === undefined || past === undefined || proxy === undefined)
    throw new Error('an authority is missing');
  return {
    cas: [own, later, past].map(({ cert }) => `${cert}\n`).join(''),
    good: await own.issue(names),
    notYet: await later.issue(names),
    over: await past.issue(names),
    otherName: await own.issue({ dns: ['elsewhere.test'], ip: ['192.0.2.1'] }),
    proxy: await proxy.issue(names),
  };
};

export interface TlsFront {
  readonly port: number;
  /** Shows this certificate from now on; connections that stand are cut. */
  show(pair: KeyPair): void;
}

/** Opens it before the edge's port; what passes is passed on as it is. */
export const openTlsFront = async (edgePort: number, first: KeyPair): Promise<TlsFront> => {
  const sockets = new Set<TLSSocket>();
  const keep = (socket: TLSSocket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  };
  const server = createServer({ ...first }, (near) => {
    const far = connect({ port: edgePort, host: '127.0.0.1', rejectUnauthorized: false });
    for (const socket of [near, far]) keep(socket);
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    cut();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    show: (pair) => {
      server.setSecureContext({ ...pair });
      cut();
    },
  };
};
