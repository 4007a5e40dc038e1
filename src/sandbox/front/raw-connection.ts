import type { Socket } from 'node:net';
import type { EdgeEndpoint } from '../contract.ts';
import { type Ends, endsOf } from './address.ts';
import type { EndpointRules } from './endpoint-rules.ts';
import { splice } from './splice.ts';
import type { StreamOpener } from './stream-opener.ts';

/** Dead peers are noticed after about this long, ms. */
const PROBE_MS = 30_000;

/** Counts a raw connection and asks the endpoint's rules; closes it without a byte when they say no. */
export const admit = (socket: Socket, endpoint: EdgeEndpoint, rules: EndpointRules): Ends | null => {
  endpoint.requests += 1;
  const ends = endsOf(socket);
  if (rules.admits(ends)) return ends;
  socket.destroy();
  return null;
};

/** Joins a visitor's connection with a stream of its own to the endpoint; closes it when none can be had. */
export const joinRaw = (
  opener: StreamOpener,
  socket: Socket,
  endpoint: EdgeEndpoint,
  rules: EndpointRules,
  ends: Ends,
  passthroughTls: boolean,
): void => {
  socket.setKeepAlive(true, PROBE_MS);
  opener.open(endpoint, ends, { proxyProto: rules.proxyProto, passthroughTls }).then(
    (stream) => splice(socket, stream),
    () => socket.destroy(),
  );
};
