import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { EdgeEndpoint } from '../../src/sandbox/contract.ts';
import { createFrontEnd, type RunningFrontEnd } from '../../src/sandbox/front/front-end.ts';
import { drained, listening, modelEdge, modelEndpoint } from '../support/edge-model.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const upstream = async (handler: (server: Server) => void): Promise<number> => {
  const server = createServer();
  handler(server);
  const port = await listening(server);
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return port;
};

const frontEnd = async (endpoints: EdgeEndpoint[], random = () => 0): Promise<RunningFrontEnd> => {
  const edge = modelEdge(endpoints);
  const front = await createFrontEnd({
    host: '127.0.0.1',
    domain: 'edge.test',
    edge: () => edge,
    certificates: { cert: '', key: '' },
    clock: systemClock,
    random,
  });
  closers.push(() => front.close());
  return front;
};

interface Got {
  status: number;
  headers: IncomingMessage['headers'];
  rawHeaders: string[];
  body: string;
  trailers: IncomingMessage['trailers'];
}

const ask = (
  front: RunningFrontEnd,
  host: string,
  options: { path?: string; method?: string; headers?: string[]; body?: string } = {},
): Promise<Got> =>
  new Promise((resolve, reject) => {
    const req = request({
      port: front.httpPort,
      host: '127.0.0.1',
      path: options.path ?? '/',
      method: options.method ?? 'GET',
      headers: ['Host', host, ...(options.headers ?? [])],
      agent: false,
    });
    req.on('error', reject);
    req.on('response', (res) => {
      let body = '';
      res.setEncoding('latin1');
      res.on('data', (chunk: string) => {
        body += chunk;
      });
      res.on('error', reject);
      res.on('end', () =>
        resolve({
          status: res.statusCode ?? 0,
          headers: res.headers,
          rawHeaders: res.rawHeaders,
          body,
          trailers: res.trailers,
        }),
      );
    });
    req.end(options.body);
  });

/** Sends bytes as they are and gives what comes back until the connection ends. */
const raw = async (port: number, text: string): Promise<string> => {
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  return (await drained(socket)).toString('latin1');
};

describe('routing', () => {
  test('names host and code when nothing is bound', async () => {
    const front = await frontEnd([]);
    const got = await ask(front, 'nobody.edge.test:8080');
    expect(got.status).toBe(404);
    expect(got.headers['ngrok-error-code']).toBe('ERR_NGROK_3200');
    expect(got.body).toContain('nobody.edge.test');
    expect(got.body).toContain('ERR_NGROK_3200');
  });

  test('ignores case and port of the host and prefers the http endpoint of a name', async () => {
    const one = await upstream((s) => s.on('request', (_q, r) => r.end('http')));
    const two = await upstream((s) => s.on('request', (_q, r) => r.end('https')));
    const endpoints: EdgeEndpoint[] = [modelEndpoint({ proto: 'https', host: 'a.edge.test' }, two)];
    const front = await frontEnd(endpoints);
    expect((await ask(front, 'A.Edge.Test:99')).body).toBe('https');
    endpoints.push(modelEndpoint({ proto: 'http', host: 'a.edge.test' }, one));
    expect((await ask(front, 'a.edge.test')).body).toBe('http');
  });

  test('hides internal endpoints', async () => {
    const port = await upstream((s) => s.on('request', (_q, r) => r.end('secret')));
    const front = await frontEnd([
      modelEndpoint({ proto: 'https', host: 'a.internal', binding: 'internal' }, port),
    ]);
    expect((await ask(front, 'a.internal')).status).toBe(404);
  });

  test('picks a pool member per request', async () => {
    const one = await upstream((s) => s.on('request', (_q, r) => r.end('one')));
    const two = await upstream((s) => s.on('request', (_q, r) => r.end('two')));
    const draws = [0.1, 0.9, 0.4];
    const members = [one, two].map((port) => modelEndpoint({ proto: 'https', host: 'p.edge.test' }, port));
    const front = await frontEnd(members, () => draws.shift() ?? 0);
    const bodies = [];
    for (let n = 0; n < 3; n += 1) bodies.push((await ask(front, 'p.edge.test')).body);
    expect(bodies).toEqual(['one', 'two', 'one']);
    expect(members.map((member) => member.requests)).toEqual([2, 1]);
  });
});

describe('requests', () => {
  test('pass with case, order and duplicates of their header fields, forged ones replaced', async () => {
    let seen: string[] = [];
    const port = await upstream((s) =>
      s.on('request', (q, r) => {
        seen = q.rawHeaders;
        r.writeHead(201, 'Made', ['X-Out', '1', 'x-out', '2', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']);
        r.end('ok');
      }),
    );
    const front = await frontEnd([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const got = await ask(front, 'a.edge.test:8443', {
      headers: [
        'X-Case',
        'A',
        'x-case',
        'B',
        'X-Forwarded-For',
        '6.6.6.6',
        'Connection',
        'x-hop',
        'X-Hop',
        '1',
        'TE',
        'gzip',
      ],
    });
    expect(seen).toEqual([
      ...['Host', 'a.edge.test:8443', 'X-Case', 'A', 'x-case', 'B'],
      ...[
        'X-Forwarded-For',
        '127.0.0.1',
        'X-Forwarded-Host',
        'a.edge.test:8443',
        'X-Forwarded-Proto',
        'http',
      ],
      ...['Connection', 'keep-alive'],
    ]);
    expect(got.status).toBe(201);
    expect(got.rawHeaders.slice(0, 8)).toEqual([
      ...['X-Out', '1', 'x-out', '2', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
    ]);
  });

  test('reuse an idle stream, which ends when the endpoint goes', async () => {
    const port = await upstream((s) => s.on('request', (_q, r) => r.end('ok')));
    const endpoint = modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port);
    const front = await frontEnd([endpoint]);
    await ask(front, 'a.edge.test');
    await ask(front, 'a.edge.test');
    expect(endpoint.streams).toHaveLength(1);
    expect(endpoint.streams[0]?.destroyed).toBe(false);
    front.endpointGone(endpoint);
    expect(endpoint.streams[0]?.destroyed).toBe(true);
  });

  test('get 502 when the agent speaks no HTTP, and when it is gone', async () => {
    const server = (await import('node:net')).createServer((socket) => socket.end('nonsense\r\n\r\n'));
    const port = await listening(server);
    closers.push(() => void server.close());
    const front = await frontEnd([
      modelEndpoint({ proto: 'https', host: 'bad.edge.test' }, port),
      modelEndpoint({ proto: 'https', host: 'gone.edge.test' }, () => null),
    ]);
    for (const host of ['bad.edge.test', 'gone.edge.test']) {
      const got = await ask(front, host);
      expect([got.status, got.headers['ngrok-error-code']]).toEqual([502, 'ERR_NGROK_3004']);
    }
  });

  test('pass chunked bodies with trailers both ways', async () => {
    let seen: unknown;
    const port = await upstream((s) =>
      s.on('request', (q, r) => {
        let body = '';
        q.on('data', (chunk: Buffer) => {
          body += chunk.toString();
        });
        q.on('end', () => {
          seen = [q.headers['transfer-encoding'], body, q.rawTrailers];
          r.writeHead(200, { Trailer: 'X-Sum' });
          r.write('part');
          r.addTrailers([['X-Sum', '42']]);
          r.end();
        });
      }),
    );
    const front = await frontEnd([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const text = await raw(
      front.httpPort,
      'POST / HTTP/1.1\r\nHost: a.edge.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-In\r\n\r\n' +
        '3\r\nabc\r\n0\r\nX-In: 7\r\n\r\n',
    );
    expect(seen).toEqual(['chunked', 'abc', ['X-In', '7']]);
    expect(text).toContain('4\r\npart\r\n0\r\nX-Sum: 42\r\n\r\n');
  });
});
