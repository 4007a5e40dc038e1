/** Traffic through the real SDK: what of the protocol's checklist concerns visitors. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer as createHttpServer, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type ConnectionOptions, createServer as createTlsServer, connect as tlsConnect } from 'node:tls';
import { describe, expect, test, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { createCertificateAuthority } from '../../src/sandbox/certificates.ts';
import { Session } from '../../src/sandbox/edge/session.ts';
import { drained, listening } from '../support/edge-model.ts';
import { type EdgeWorld, startEdgeWorld } from '../support/edge-world.ts';
import { freePort } from '../support/free-port.ts';
import { afterwards, answerTo, ask, begin, httpUpstream, tcpUpstream } from '../support/front-world.ts';

/** The one session of a world. */
const sessionOf = (world: EdgeWorld): Session => {
  const [session] = world.edge.sessions.values();
  if (!(session instanceof Session)) throw new Error('no session');
  return session;
};

const portOf = (url: string): number => Number(new URL(url.replace('tcp:', 'http:')).port);

const visit = (port: number): Socket => {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  afterwards(() => void socket.destroy());
  return socket;
};

const visitTls = (world: EdgeWorld, servername: string, more: ConnectionOptions = {}) => {
  const socket = tlsConnect({
    port: world.front.httpsPort,
    host: '127.0.0.1',
    servername,
    ca: world.authority.cert,
    ...more,
  });
  socket.on('error', () => undefined);
  afterwards(() => void socket.destroy());
  return socket;
};

describe('pools', () => {
  test('share visitors within and across sessions, and go on when a member unbinds', async () => {
    const world = await startEdgeWorld();
    const [one, two] = [await world.connected(), await world.connected()];
    const calls = [
      ['domain', 'pool.edge.test'],
      ['poolingEnabled', true],
    ] as const;
    const names = ['a', 'b', 'c'];
    for (const [name, agent] of [
      ['a', one],
      ['b', one],
      ['c', two],
    ] as const) {
      const port = await httpUpstream((_q, r) => r.end(name));
      await agent.bind({ name, proto: 'http', calls, to: `http://127.0.0.1:${port}` });
    }
    const served = async (): Promise<Set<string>> => {
      const bodies = await Promise.all(
        names.flatMap(() => Array.from({ length: 20 }, () => ask(world.front, 'pool.edge.test'))),
      );
      expect(bodies.every(({ status }) => status === 200)).toBe(true);
      return new Set(bodies.map(({ body }) => body.toString()));
    };
    expect([...(await served())].toSorted((a, b) => a.localeCompare(b))).toEqual(names);
    await one.close('a');
    expect([...(await served())].toSorted((a, b) => a.localeCompare(b))).toEqual(['b', 'c']);
  });
});

describe('requests', () => {
  const host = 'a.edge.test';
  const bound = async (port: number, calls: [string, ...unknown[]][] = [], settings = {}) => {
    const world = await startEdgeWorld(settings);
    const agent = await world.connected();
    await agent.bind({
      name: 'a',
      proto: 'http',
      calls: [['domain', host], ...calls],
      to: `http://127.0.0.1:${port}`,
    });
    return { world, agent };
  };

  test('under way when the listener closes are answered to the end', async () => {
    let finish: (() => void) | undefined;
    const port = await httpUpstream((_q, r) => {
      r.write('begun ');
      finish = () => r.end('done');
    });
    const { world, agent } = await bound(port);
    const answer = ask(world.front, host);
    await vi.waitFor(() => expect(finish).toBeDefined(), { timeout: 5_000 });
    await agent.close('a');
    finish?.();
    expect((await answer).body.toString()).toBe('begun done');
    expect((await ask(world.front, host)).status).toBe(404);
  });

  test('come to 200 at once on fresh connections, twice in a row, on one session', async () => {
    const port = await httpUpstream((q, r) => r.end(q.url));
    const { world } = await bound(port);
    const before = sessionOf(world);
    for (let round = 0; round < 2; round += 1) {
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, n) => ask(world.front, host, { method: 'POST', path: `/${n}` })),
      );
      expect(answers.map(({ body }) => body.toString())).toEqual(answers.map((_, n) => `/${n}`));
    }
    expect(sessionOf(world)).toBe(before);
  });

  test('over the stream cap queue or get 503, and the session lives', async () => {
    const waiting: (() => void)[] = [];
    const port = await httpUpstream((_q, r) => waiting.push(() => r.end('late')));
    const { world } = await bound(port, [], { streamCap: 40, streamQueue: 20 });
    const before = sessionOf(world);
    const answers = Array.from({ length: 100 }, () => ask(world.front, host));
    await vi.waitFor(() => expect(waiting.length).toBeGreaterThan(30), { timeout: 10_000 });
    const refused = await Promise.any(answers);
    expect(refused.status).toBe(503);
    const timer = setInterval(() => {
      for (const finish of waiting.splice(0)) finish();
    }, 5);
    afterwards(() => clearInterval(timer));
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200, 503]));
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(55);
    expect(sessionOf(world)).toBe(before);
  });

  test('to a listener that nobody accepts leave other endpoints serving', async () => {
    const port = await httpUpstream((_q, r) => r.end('ok'));
    const { world, agent } = await bound(port);
    await agent.listen({ name: 'deaf', proto: 'http', calls: [['domain', 'deaf.edge.test']] });
    const before = sessionOf(world);
    const stuck = Array.from({ length: 100 }, () => {
      const req = begin(world.front, 'deaf.edge.test');
      req.on('error', () => undefined);
      afterwards(() => void req.destroy());
      req.end();
      return once(req, 'finish');
    });
    await Promise.all(stuck);
    for (let n = 0; n < 5; n += 1) expect((await ask(world.front, host)).body.toString()).toBe('ok');
    const fresh = await agent.bind({
      name: 'b',
      proto: 'http',
      calls: [['domain', 'b.edge.test']],
      to: `http://127.0.0.1:${port}`,
    });
    expect(fresh.url).toContain('b.edge.test');
    expect((await ask(world.front, 'b.edge.test')).status).toBe(200);
    expect(sessionOf(world)).toBe(before);
  });

  test('of 100 MB down and 20 MB up arrive with equal hashes', { timeout: 60_000 }, async () => {
    const piece = randomBytes(1 << 20);
    const pieces = (count: number): Readable => Readable.from(Array.from({ length: count }, () => piece));
    const digestOf = (count: number): string => {
      const hash = createHash('sha256');
      for (let n = 0; n < count; n += 1) hash.update(piece);
      return hash.digest('hex');
    };
    const port = await httpUpstream((q, r) => {
      const up = createHash('sha256');
      q.on('data', (chunk: Buffer) => up.update(chunk));
      q.on('end', () => {
        r.setHeader('X-Up', up.digest('hex'));
        pipeline(pieces(100), r).catch(() => undefined);
      });
    });
    const { world } = await bound(port);
    const req = begin(world.front, host, { method: 'POST', headers: ['Content-Length', String(20 << 20)] });
    const down = createHash('sha256');
    const answered = once(req, 'response');
    await pipeline(pieces(20), req);
    const [response] = await answered;
    for await (const chunk of response) down.update(chunk);
    expect(response.headers['x-up']).toBe(digestOf(20));
    expect(down.digest('hex')).toBe(digestOf(100));
  });

  test('whose visitor reads nothing wait at the upstream, and others are served', async () => {
    const chunk = Buffer.alloc(1 << 20);
    let sent = 0;
    const port = await httpUpstream((q, r) => {
      if (q.url === '/small') {
        r.end('ok');
        return;
      }
      const more = (): void => {
        while (sent < 200 && r.write(chunk)) sent += 1;
      };
      r.on('drain', more);
      more();
    });
    const { world } = await bound(port);
    const stuck = begin(world.front, host, { path: '/large' });
    stuck.on('error', () => undefined);
    afterwards(() => void stuck.destroy());
    stuck.end();
    await once(stuck, 'response');
    let before = -1;
    await vi.waitFor(
      () => {
        const isStill = sent === before;
        before = sent;
        expect(isStill).toBe(true);
      },
      { timeout: 20_000, interval: 500 },
    );
    expect(sent).toBeLessThan(100);
    expect((await ask(world.front, host, { path: '/small' })).body.toString()).toBe('ok');
  });

  test('pass chunked, HEAD, 204, 304, 100-continue and kept connections unharmed', async () => {
    const sockets = new Set<unknown>();
    const port = await httpUpstream((q, r) => {
      sockets.add(q.socket);
      if (q.url === '/204') r.writeHead(204).end();
      else if (q.url === '/304') r.writeHead(304, ['Content-Length', '77']).end();
      else if (q.method === 'HEAD') r.writeHead(200, ['Content-Length', '99']).end();
      else {
        r.writeHead(200, { Trailer: 'X-Sum' });
        q.on('data', (chunk) => r.write(chunk));
        q.on('end', () => {
          r.addTrailers([['X-Sum', '42']]);
          r.end('.');
        });
      }
    });
    const { world } = await bound(port);
    const chunked = await ask(world.front, host, {
      method: 'PUT',
      headers: ['Transfer-Encoding', 'chunked'],
      body: 'abc',
    });
    expect([chunked.body.toString(), chunked.rawTrailers]).toEqual(['abc.', ['X-Sum', '42']]);
    const head = await ask(world.front, host, { method: 'HEAD' });
    expect([head.status, head.headers['content-length']]).toEqual([200, '99']);
    expect((await ask(world.front, host, { path: '/204' })).status).toBe(204);
    expect((await ask(world.front, host, { path: '/304' })).headers['content-length']).toBe('77');
    const careful = begin(world.front, host, {
      method: 'PUT',
      headers: ['Expect', '100-continue', 'Content-Length', '4'],
    });
    const answer = answerTo(careful);
    careful.flushHeaders();
    await once(careful, 'continue');
    careful.end('body');
    expect((await answer).body.toString()).toBe('body.');
    sockets.clear();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    afterwards(() => agent.destroy());
    for (let n = 0; n < 5; n += 1) {
      const kept = request({ port: world.front.httpPort, host: '127.0.0.1', headers: { host }, agent });
      const got = answerTo(kept);
      kept.end();
      expect((await got).body.toString()).toBe('.');
    }
    expect(sockets.size).toBe(1);
  });

  test('carry who asks, and forged words are replaced', async () => {
    const port = await httpUpstream((q, r) => r.end(JSON.stringify(q.headers)));
    const { world } = await bound(port);
    const got = await ask(world.front, `${host}:9`, {
      headers: ['X-Forwarded-For', '6.6.6.6', 'X-Forwarded-Proto', 'gopher', 'X-Forwarded-Host', 'evil'],
    });
    expect(JSON.parse(got.body.toString())).toMatchObject({
      host: `${host}:9`,
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': `${host}:9`,
      'x-forwarded-proto': 'http',
    });
    expect((await ask(world.front, 'unknown.edge.test')).headers['ngrok-error-code']).toBe('ERR_NGROK_3200');
  });

  test('to a dead upstream get 502', async () => {
    const { world } = await bound(await freePort());
    const got = await ask(world.front, host);
    expect([got.status, got.body.toString()]).toEqual([
      502,
      expect.stringContaining('failed to dial backend'),
    ]);
  });

  test('reach an HTTP/2 upstream where the bind says so', async () => {
    const http2 = await import('node:http2');
    const server = http2.createServer((q, r) => r.end(`${q.httpVersion} ${q.url}`));
    const port = await listening(server);
    afterwards(() => void server.close());
    const { world } = await bound(port, [['appProtocol', 'http2']]);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => ask(world.front, host, { path: `/${n}` })),
    );
    expect(answers.map(({ body }) => body.toString())).toEqual(answers.map((_, n) => `2.0 /${n}`));
    await world.edge.close();
  });

  test('pass the modules that the bind named, and binds that cannot be honoured are refused', async () => {
    const port = await httpUpstream((q, r) => r.end(String(q.headers['foo'])));
    const { world, agent } = await bound(port, [
      ['requestHeader', 'foo', 'bar'],
      ['responseHeader', 'spam', 'eggs'],
      ['basicAuth', 'ngrok', 'online1line'],
      [
        'trafficPolicy',
        '{"outbound":[{"expressions":["req.Method == \'GET\'"],"actions":[{"type":"add-headers","config":{"headers":{"by":"policy"}}}]}]}',
      ],
    ]);
    expect((await ask(world.front, host)).status).toBe(401);
    const auth = `Basic ${Buffer.from('ngrok:online1line').toString('base64')}`;
    const got = await ask(world.front, host, { headers: ['Authorization', auth] });
    expect([got.body.toString(), got.headers['spam'], got.headers['by']]).toEqual(['bar', 'eggs', 'policy']);
    await expect(
      agent.bind({ name: 'o', proto: 'http', calls: [['oauth', 'google']], to: `http://127.0.0.1:${port}` }),
    ).rejects.toThrow(/ERR_NGROK_9026/);
    expect((await ask(world.front, host, { headers: ['Authorization', auth] })).status).toBe(200);
  });
});

test('a WebSocket echoes 200 kB and its close code passes', async () => {
  const http = createHttpServer();
  const server = new WebSocketServer({ server: http });
  server.on('connection', (socket) => {
    socket.send('welcome');
    socket.on('message', (data) => socket.send(data));
  });
  const port = await listening(http);
  afterwards(() => {
    for (const client of server.clients) client.terminate();
    http.close();
  });
  const world = await startEdgeWorld();
  const agent = await world.connected();
  await agent.bind({
    name: 'w',
    proto: 'http',
    calls: [['domain', 'ws.edge.test']],
    to: `http://127.0.0.1:${port}`,
  });
  const socket = new WebSocket(`ws://127.0.0.1:${world.front.httpPort}`, {
    headers: { host: 'ws.edge.test' },
  });
  expect(String((await once(socket, 'message'))[0])).toBe('welcome');
  const large = randomBytes(200_000);
  socket.send(large);
  expect(large.equals((await once(socket, 'message'))[0])).toBe(true);
  socket.close(4711, 'enough');
  const [code, reason] = await once(socket, 'close');
  expect([code, String(reason)]).toEqual([4711, 'enough']);
});

describe('raw endpoints', () => {
  const boundTcp = async (upstreamPort: number, calls: [string, ...unknown[]][] = []) => {
    const world = await startEdgeWorld();
    const agent = await world.connected();
    const { url } = await agent.bind({
      name: 't',
      proto: 'tcp',
      calls,
      to: `tcp://127.0.0.1:${upstreamPort}`,
    });
    return { world, agent, port: portOf(url) };
  };

  test('half-close in both directions', async () => {
    const upstream = await tcpUpstream((socket) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text === 'you first') socket.end('bye');
      });
      socket.on('end', () => {
        if (!socket.writableEnded) socket.end(`after your end: ${text}`);
      });
    });
    const { port } = await boundTcp(upstream);
    const client = visit(port);
    client.end('that is all');
    expect((await drained(client)).toString()).toBe('after your end: that is all');
    const other = visit(port);
    other.write('you first');
    expect((await drained(other)).toString()).toBe('bye');
    expect(other.writable).toBe(true);
    other.end();
    await once(other, 'close');
  });

  test('leave one stream after 2,000 connections, however they ended', { timeout: 60_000 }, async () => {
    const open = new Set<Socket>();
    const upstream = await tcpUpstream((socket) => {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      socket.on('end', () => socket.end());
      socket.on('data', (chunk: Buffer) => {
        if (chunk.toString() === 'both') socket.end('x');
        else if (chunk.toString() === 'upstream') socket.destroySoon();
        else socket.write('x');
      });
    });
    const { world, port } = await boundTcp(upstream);
    const session = sessionOf(world);
    const ways = ['client', 'upstream', 'both', 'abort'];
    const one = async (n: number): Promise<void> => {
      const way = ways[n % 4] ?? '';
      const client = visit(port);
      const closed = once(client, 'close');
      client.on('end', () => client.end());
      client.on('data', () => {
        if (way === 'abort') client.resetAndDestroy();
        else if (way !== 'upstream') client.end();
      });
      client.write(way);
      await closed;
    };
    // Ten after one another at a time: sequential for each, and done within the test's time.
    const runs = Array.from({ length: 10 }, async (_, lane) => {
      for (let n = 0; n < 200; n += 1) await one(lane + n);
    });
    await Promise.all(runs);
    await vi.waitFor(
      () => {
        expect(session.mux.size).toBe(1);
        expect(open.size).toBe(0);
      },
      { timeout: 10_000 },
    );
    expect(sessionOf(world)).toBe(session);
  });

  test('close cleanly when the upstream is dead', async () => {
    const dead = await freePort();
    const { world, agent, port } = await boundTcp(dead);
    expect((await drained(visit(port))).toString()).toBe('');
    await agent.bind({
      name: 's',
      proto: 'tls',
      calls: [['domain', 'dead.edge.test']],
      to: `tcp://127.0.0.1:${dead}`,
    });
    const socket = visitTls(world, 'dead.edge.test');
    expect((await once(socket, 'error'))[0]).toMatchObject({ code: 'ECONNRESET' });
  });

  test('pass TLS through to the upstream, or end it with the pair of the bind', async () => {
    const own = await createCertificateAuthority(Date.now());
    const server = createTlsServer(await own.issue({ dns: ['pass.edge.test'], ip: [] }), (socket) => {
      socket.on('error', () => undefined);
      socket.end('from the upstream itself');
    });
    const port = await listening(server);
    afterwards(() => void server.close());
    const plain = await tcpUpstream((socket) =>
      socket.once('data', (chunk: Buffer) => void socket.end(`plain ${chunk}`)),
    );
    const world = await startEdgeWorld();
    const agent = await world.connected();
    await agent.bind({
      name: 'p',
      proto: 'tls',
      calls: [['domain', 'pass.edge.test']],
      to: `tcp://127.0.0.1:${port}`,
    });
    const pair = await world.authority.issue({ dns: ['end.edge.test'], ip: [] });
    const calls = [
      ['domain', 'end.edge.test'],
      ['termination', { pem: pair.cert }, { pem: pair.key }],
    ] as const;
    await agent.bind({ name: 'e', proto: 'tls', calls, to: `tcp://127.0.0.1:${plain}` });
    const through = visitTls(world, 'pass.edge.test', { ca: own.cert });
    expect((await drained(through)).toString()).toBe('from the upstream itself');
    const ended = visitTls(world, 'end.edge.test');
    ended.write('words');
    expect((await drained(ended)).toString()).toBe('plain words');
  });

  test.each([1, 2])('tell the upstream the true address with PROXY version %i', async (version) => {
    const upstream = await tcpUpstream((socket) => {
      let bytes = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        bytes = Buffer.concat([bytes, chunk]);
        if (bytes.includes('hello')) socket.end(bytes);
      });
    });
    const { port } = await boundTcp(upstream, [['proxyProto', String(version)]]);
    const client = visit(port);
    client.write('hello');
    const bytes = await drained(client);
    if (version === 1) {
      expect(bytes.toString()).toMatch(
        new RegExp(`^PROXY TCP4 127\\.0\\.0\\.1 127\\.0\\.0\\.1 \\d+ ${port}\\r\\nhello$`),
      );
    } else {
      expect(bytes.toString('hex', 0, 24)).toBe('0d0a0d0a000d0a515549540a2111000c7f0000017f000001');
      expect(bytes.toString('latin1', 28)).toBe('hello');
      expect(bytes.readUInt16BE(26)).toBe(port);
    }
  });
});
