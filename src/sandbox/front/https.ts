import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import type { Connections } from './connections.ts';
import type { FrontContext } from './front-context.ts';
import { httpServerOptions, serveHttp } from './http.ts';
import { peekServerName } from './peek.ts';
import { httpMembers, pick, tlsMembers } from './route.ts';
import { createTlsEndpoints, HANDSHAKE_MS } from './tls.ts';

/** PEM of the pair that the https port shows for names under the sandbox's domain. */
export interface FrontCertificates {
  readonly cert: string;
  readonly key: string;
}

/**
 * The https port: the server name sends a connection to a tls endpoint, or to an HTTP server behind the sandbox's
 * certificate. Names with an endpoint that wants client certificates get a server of their own.
 */
export const createHttpsPort = (
  context: FrontContext,
  certificates: FrontCertificates,
  connections: Connections,
  clock: Clock,
): Server => {
  const serveTls = createTlsEndpoints(context);
  const guarded = new Map<string, HttpsServer>();
  const httpsServer = (clientCa: string | null): HttpsServer => {
    const server = createHttpsServer({
      ...httpServerOptions,
      cert: certificates.cert,
      key: certificates.key,
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: HANDSHAKE_MS,
      ...(clientCa === null ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
    });
    serveHttp(server, 'https', context, clientCa);
    server.on('tlsClientError', (_error, secure) => secure.destroy());
    return server;
  };
  const plain = httpsServer(null);
  const serverFor = (name: string): HttpsServer => {
    const clientCa = httpMembers(context.edge(), 'https', name)
      .map((member) => context.rulesOf(member).clientCa)
      .find((ca) => ca !== null);
    if (clientCa === undefined || clientCa === null) return plain;
    const server = guarded.get(clientCa) ?? httpsServer(clientCa);
    guarded.set(clientCa, server);
    return server;
  };

  const route = async (socket: Socket): Promise<void> => {
    const name = await peekServerName(socket, clock);
    if (name === undefined) return;
    const endpoint = pick(tlsMembers(context.edge(), name ?? ''), context.random);
    if (endpoint !== undefined) serveTls(socket, endpoint);
    else serverFor(name ?? '').emit('connection', socket);
  };
  return createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    connections.take(socket);
    route(socket).catch(() => socket.destroy());
  });
};
