import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import type { EdgeEndpoint, EdgeState, Visitor } from '../../src/sandbox/contract.ts';

export type ModelEndpoint = EdgeEndpoint & {
  /** Proxy streams opened so far, the live and the ended ones. */
  readonly streams: Duplex[];
  /** What the front end said about each visitor. */
  readonly visitors: Visitor[];
};

let serial = 0;

/** An endpoint whose agent is a plain pipe to `upstreamPort`, as the SDK is; bytes pass through Duplex halves only. */
export const modelEndpoint = (
  settings: Partial<EdgeEndpoint> & { readonly proto: EdgeEndpoint['proto']; readonly host: string },
  upstreamPort: number | (() => number | null),
): ModelEndpoint => {
  serial += 1;
  const streams: Duplex[] = [];
  const visitors: Visitor[] = [];
  return {
    id: `ep_${serial}`,
    url: `${settings.proto}://${settings.host}`,
    port: null,
    binding: 'public',
    pooled: false,
    sessionId: 'ts_1',
    account: 'A',
    metadata: '',
    forwardsTo: '',
    forwardsProto: '',
    createdAtMs: 0,
    opts: {},
    requests: 0,
    ...settings,
    streams,
    visitors,
    open: (visitor) => {
      const port = typeof upstreamPort === 'number' ? upstreamPort : upstreamPort();
      if (port === null) return Promise.reject(new Error('session is gone'));
      visitors.push(visitor);
      const [edgeSide, agentSide] = duplexPair({ allowHalfOpen: true, highWaterMark: 64 * 1024 });
      streams.push(edgeSide);
      pipeToUpstream(edgeSide, agentSide, port);
      return Promise.resolve(edgeSide);
    },
  };
};

const pipeToUpstream = (edgeSide: Duplex, agentSide: Duplex, port: number): void => {
  const upstream: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  agentSide.pipe(upstream);
  upstream.pipe(agentSide);
  // A destroyed edge side is a FIN towards the agent, an upstream that fails is a FIN towards the edge.
  edgeSide.on('close', () => {
    if (!edgeSide.readableEnded || !edgeSide.writableFinished) upstream.destroy();
  });
  agentSide.on('error', () => upstream.destroy());
  upstream.on('error', () => agentSide.end());
};

/** Edge state over a changeable list of endpoints. */
export const modelEdge = (endpoints: EdgeEndpoint[]): EdgeState => ({
  sessions: new Map(),
  members: (kind, host) => {
    const ofKind = endpoints.filter((endpoint) => endpoint.proto === kind);
    const exact = ofKind.filter((endpoint) => endpoint.host === host);
    if (exact.length > 0) return exact;
    return ofKind.filter(
      (endpoint) => endpoint.host.startsWith('*.') && host.endsWith(endpoint.host.slice(1)),
    );
  },
  tcpMembers: (port) => endpoints.filter((endpoint) => endpoint.proto === 'tcp' && endpoint.port === port),
  cut: () => undefined,
  stopEndpoint: () => undefined,
});

/** Starts a server on a free loopback port and gives the port. */
export const listening = async (server: {
  listen(port: number, host: string): unknown;
  address(): unknown;
  once(event: 'listening', listener: () => void): unknown;
}): Promise<number> => {
  const ready = new Promise<void>((resolve) => server.once('listening', () => resolve()));
  server.listen(0, '127.0.0.1');
  await ready;
  const address = server.address();
  if (typeof address !== 'object' || address === null || !('port' in address)) throw new Error('no port');
  return Number(address.port);
};

/** All bytes until the end of a stream. */
export const drained = async (stream: Duplex): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'end');
  return Buffer.concat(chunks);
};
