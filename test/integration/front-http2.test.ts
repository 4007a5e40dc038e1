import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { describe, expect, test, vi } from 'vitest';
import { listening, modelEndpoint } from '../support/edge-model.ts';
import { afterwards, ask, httpUpstream, startFront } from '../support/front-world.ts';

const http2Upstream = async (configure: (server: Http2Server) => void): Promise<number> => {
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => sessions.add(session));
  configure(server);
  const port = await listening(server);
  afterwards(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return port;
};

const host = 'h2.edge.test';
const settings = { proto: 'https', host, forwardsProto: 'http2' } as const;

describe('an endpoint with http2 towards the agent', () => {
  test('gets HTTP/2 with prior knowledge on one stream, the visitor HTTP/1.1', async () => {
    const port = await http2Upstream((server) =>
      server.on('stream', (stream: ServerHttp2Stream, headers) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          stream.respond({ ':status': 201, 'set-cookie': ['a=1', 'b=2'] }, { waitForTrailers: true });
          stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }));
          stream.end(
            `${headers[':method']} ${headers[':path']} ${headers[':authority']} ${headers['x-forwarded-for']} ${Buffer.concat(chunks)}`,
          );
        });
      }),
    );
    const endpoint = modelEndpoint(settings, port);
    const front = await startFront([endpoint]);
    const got = await ask(front, 'H2.edge.test', {
      path: '/p?q',
      method: 'POST',
      headers: ['Content-Length', '4'],
      body: 'body',
    });
    expect(got.status).toBe(201);
    expect(got.body.toString()).toBe('POST /p?q H2.edge.test 127.0.0.1 body');
    expect(got.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(got.rawTrailers).toEqual(['x-sum', '7']);
    const all = await Promise.all(Array.from({ length: 20 }, (_, n) => ask(front, host, { path: `/${n}` })));
    expect(all.map((one) => one.body.toString().split(' ')[1])).toEqual(all.map((_, n) => `/${n}`));
    expect(endpoint.streams).toHaveLength(1);
    front.endpointGone(endpoint);
    await vi.waitFor(() => expect(endpoint.streams[0]?.destroyed).toBe(true));
  });

  test('whose upstream speaks only HTTP/1.1 answers 502', async () => {
    const port = await httpUpstream((_q, r) => r.end('old'));
    const front = await startFront([modelEndpoint(settings, port)]);
    const got = await ask(front, host);
    expect([got.status, got.headers['ngrok-error-code']]).toEqual([502, 'ERR_NGROK_3004']);
  });

  test('opens a new session when the last one is gone', async () => {
    let sessions = 0;
    const port = await http2Upstream((server) => {
      server.on('session', () => {
        sessions += 1;
      });
      server.on('stream', (stream: ServerHttp2Stream, headers) => {
        if (headers[':path'] === '/die') stream.session?.destroy();
        else {
          stream.respond({ ':status': 200 });
          stream.end('ok');
        }
      });
    });
    const front = await startFront([modelEndpoint(settings, port)]);
    expect((await ask(front, host)).status).toBe(200);
    expect((await ask(front, host, { path: '/die', method: 'POST' })).status).toBe(502);
    expect((await ask(front, host)).status).toBe(200);
    expect(sessions).toBe(2);
  });
});
