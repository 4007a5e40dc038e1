import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  type RequestListener,
  request,
} from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { createCertificateAuthority } from '../../src/sandbox/certificates.ts';
import type { EdgeEndpoint } from '../../src/sandbox/contract.ts';
import { createFrontEnd, type RunningFrontEnd } from '../../src/sandbox/front/front-end.ts';
import type { PolicyLog } from '../../src/sandbox/front/policy/actions.ts';
import { listening, modelEdge } from './edge-model.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Runs after the test, last one first. */
export const afterwards = (close: () => Promise<void> | void): void => {
  closers.push(close);
};

export const authority = await createCertificateAuthority(Date.now());
export const domainPair = await authority.issue({ dns: ['*.edge.test', 'edge.test'], ip: [] });

/** A front end over a list of endpoints that the test may change. */
export const startFront = async (
  endpoints: EdgeEndpoint[],
  options: { random?: () => number; clock?: Clock; log?: PolicyLog } = {},
): Promise<RunningFrontEnd> => {
  const edge = modelEdge(endpoints);
  const front = await createFrontEnd({
    host: '127.0.0.1',
    domain: 'edge.test',
    edge: () => edge,
    certificates: domainPair,
    clock: systemClock,
    random: () => 0,
    ...options,
  });
  afterwards(() => front.close());
  return front;
};

/** An HTTP upstream on a free port. */
export const httpUpstream = async (handler: RequestListener): Promise<number> => {
  const server = createServer(handler);
  const port = await listening(server);
  afterwards(() => {
    server.closeAllConnections();
    server.close();
  });
  return port;
};

/** A TCP upstream on a free port, half-open. */
export const tcpUpstream = async (handler: (socket: Socket) => void): Promise<number> => {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    handler(socket);
  });
  const port = await listening(server);
  afterwards(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return port;
};

export interface Got {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly rawTrailers: readonly string[];
  readonly body: Buffer;
}

export interface Ask {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: readonly string[];
  readonly body?: string | Buffer;
}

/** A request of its own connection to the plain HTTP port. */
export const begin = (front: RunningFrontEnd, host: string, options: Ask = {}): ClientRequest =>
  request({
    port: front.httpPort,
    host: '127.0.0.1',
    path: options.path ?? '/',
    method: options.method ?? 'GET',
    headers: ['Host', host, ...(options.headers ?? [])],
    agent: false,
  });

/** The whole answer to a request; rejects when it breaks off. */
export const answerTo = (req: ClientRequest): Promise<Got> =>
  new Promise((resolve, reject) => {
    req.on('error', reject);
    req.on('response', (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('error', reject);
      res.on('end', () =>
        resolve({
          status: res.statusCode ?? 0,
          headers: res.headers,
          rawHeaders: res.rawHeaders,
          rawTrailers: res.rawTrailers,
          body: Buffer.concat(chunks),
        }),
      );
    });
  });

export const ask = (front: RunningFrontEnd, host: string, options: Ask = {}): Promise<Got> => {
  const req = begin(front, host, options);
  const answer = answerTo(req);
  req.end(options.body);
  return answer;
};
