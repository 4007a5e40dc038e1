import type { Socket } from 'node:net';
import { createServer, type Server } from 'node:tls';
import type { EdgeEndpoint } from '../contract.ts';
import type { EndpointRules } from './endpoint-rules.ts';
import type { FrontContext } from './front-context.ts';
import { admit, joinRaw } from './raw-connection.ts';

/** A visitor has this long to finish a handshake. */
export const HANDSHAKE_MS = 20_000;

/** Serves connections that a server name led to a tls endpoint. */
export const createTlsEndpoints = (
  context: FrontContext,
): ((socket: Socket, endpoint: EdgeEndpoint) => void) => {
  const terminators = new WeakMap<EdgeEndpoint, Server>();
  const terminatorOf = (endpoint: EdgeEndpoint, rules: EndpointRules): Server | null => {
    if (rules.termination === null) return null;
    const known = terminators.get(endpoint);
    if (known !== undefined) return known;
    const server = createServer({
      ...rules.termination,
      ...(rules.clientCa === null ? {} : { ca: rules.clientCa, requestCert: true, rejectUnauthorized: true }),
      allowHalfOpen: true,
      handshakeTimeout: HANDSHAKE_MS,
    });
    server.on('secureConnection', (secure) => {
      secure.on('error', () => secure.destroy());
      const ends = admit(secure, endpoint, rules);
      if (ends !== null) joinRaw(context.opener, secure, endpoint, rules, ends, false);
    });
    server.on('tlsClientError', (_error, secure) => secure.destroy());
    terminators.set(endpoint, server);
    return server;
  };

  return (socket, endpoint) => {
    const rules = context.rulesOf(endpoint);
    const terminator = terminatorOf(endpoint, rules);
    if (terminator !== null) {
      terminator.emit('connection', socket);
      return;
    }
    const ends = admit(socket, endpoint, rules);
    if (ends !== null) joinRaw(context.opener, socket, endpoint, rules, ends, true);
  };
};
