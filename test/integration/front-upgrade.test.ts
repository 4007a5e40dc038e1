import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { drained, listening, modelEndpoint } from '../support/edge-model.ts';
import { afterwards, ask, authority, httpUpstream, startFront, tcpUpstream } from '../support/front-world.ts';

/** A WebSocket upstream that greets and then echoes. */
const webSocketUpstream = async (): Promise<number> => {
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  server.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.send('welcome');
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  const port = await listening(http);
  afterwards(() => {
    for (const client of server.clients) client.terminate();
    http.close();
  });
  return port;
};

const dial = (port: number, host: string, options: ClientOptions = {}): WebSocket => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`, { headers: { host }, ...options });
  socket.on('error', () => undefined);
  afterwards(() => socket.terminate());
  return socket;
};

describe('a WebSocket', () => {
  test('passes a server-first message, an echo of 200 kB and its close code', async () => {
    const endpoint = modelEndpoint({ proto: 'https', host: 'ws.edge.test' }, await webSocketUpstream());
    const front = await startFront([endpoint]);
    const socket = dial(front.httpPort, 'ws.edge.test');
    const [first] = await once(socket, 'message');
    expect(String(first)).toBe('welcome');
    const large = Buffer.alloc(200_000, 'z');
    const echo = once(socket, 'message');
    socket.send(large);
    expect((await echo)[0]).toEqual(large);
    socket.close(4711, 'enough');
    const [code, reason] = await once(socket, 'close');
    expect([code, String(reason)]).toEqual([4711, 'enough']);
    await vi.waitFor(() => expect(endpoint.streams.every((stream) => stream.destroyed)).toBe(true));
    expect(endpoint.requests).toBe(1);
  });

  test('passes over TLS', async () => {
    const endpoint = modelEndpoint({ proto: 'https', host: 'ws.edge.test' }, await webSocketUpstream());
    const front = await startFront([endpoint]);
    const tls = { servername: 'ws.edge.test', ca: authority.cert };
    const socket = new WebSocket(`wss://127.0.0.1:${front.httpsPort}/`, {
      headers: { host: 'ws.edge.test' },
      ...tls,
    });
    expect(String((await once(socket, 'message'))[0])).toBe('welcome');
    socket.close();
    await once(socket, 'close');
  });

  test('ends at the upstream when the visitor is torn away', async () => {
    const endpoint = modelEndpoint({ proto: 'https', host: 'ws.edge.test' }, await webSocketUpstream());
    const front = await startFront([endpoint]);
    const socket = dial(front.httpPort, 'ws.edge.test');
    await once(socket, 'message');
    socket.terminate();
    await vi.waitFor(() => expect(endpoint.streams[0]?.destroyed).toBe(true));
  });

  test('that the upstream refuses gets its answer', async () => {
    const port = await httpUpstream((_q, r) => r.end());
    const refusing = await tcpUpstream((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 418 No\r\nContent-Length: 3\r\n\r\ntea'));
    });
    const front = await startFront([
      modelEndpoint({ proto: 'https', host: 'plain.edge.test' }, port),
      modelEndpoint({ proto: 'https', host: 'no.edge.test' }, refusing),
    ]);
    const socket = dial(front.httpPort, 'no.edge.test');
    const [, response] = await once(socket, 'unexpected-response');
    expect(response.statusCode).toBe(418);
    const other = dial(front.httpPort, 'nobody.edge.test');
    const [, missing] = await once(other, 'unexpected-response');
    expect(missing.statusCode).toBe(404);
  });
});

test('bytes in one packet with the 101 and with the request both arrive', async () => {
  const port = await tcpUpstream((socket) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      const isFirst = text === '';
      text += chunk.toString('latin1');
      if (isFirst)
        socket.write(
          'HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Kept: 1\r\n\r\nfirst words',
        );
      if (text.endsWith('from the start')) socket.end(' got it');
    });
  });
  const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
  const socket = connect(front.httpPort, '127.0.0.1');
  socket.write(
    'GET / HTTP/1.1\r\nHost: a.edge.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\nfrom the start',
  );
  const text = (await drained(socket)).toString();
  expect(text).toBe(
    'HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Kept: 1\r\n\r\nfirst words got it',
  );
});

test('an upgrade to h2c is served as the plain request it also is', async () => {
  const port = await httpUpstream((q, r) => r.end(q.headers.upgrade ?? 'none'));
  const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
  const got = await ask(front, 'a.edge.test', {
    headers: ['Connection', 'Upgrade, HTTP2-Settings', 'Upgrade', 'h2c', 'HTTP2-Settings', 'AAMAAABk'],
  });
  expect(got.body.toString()).toBe('none');
});

describe('WebSocket conversion', () => {
  const opts = { WebsocketTCPConverter: {} };

  test('passes the bytes of messages to a TCP upstream and back', async () => {
    const port = await tcpUpstream((socket) => socket.pipe(socket));
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'ws.edge.test', opts }, port)]);
    const socket = dial(front.httpPort, 'ws.edge.test');
    await once(socket, 'open');
    const echo = once(socket, 'message');
    socket.send('over and back');
    expect(String((await echo)[0])).toBe('over and back');
    socket.close();
    await once(socket, 'close');
  });

  test('answers a plain request with 3206', async () => {
    const front = await startFront([
      modelEndpoint({ proto: 'https', host: 'ws.edge.test', opts }, () => null),
    ]);
    const got = await ask(front, 'ws.edge.test');
    expect([got.status, got.headers['ngrok-error-code']]).toEqual([400, 'ERR_NGROK_3206']);
  });
});
