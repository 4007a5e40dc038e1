import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test, vi } from 'vitest';
import type { EdgeEndpoint } from '../../src/sandbox/contract.ts';
import { drained, modelEndpoint } from '../support/edge-model.ts';
import {
  afterwards,
  answerTo,
  ask,
  begin,
  httpUpstream,
  startFront,
  tcpUpstream,
} from '../support/front-world.ts';
import { manualClock } from '../support/manual-clock.ts';

/** Sends bytes as they are and gives what comes back until the connection ends. */
const raw = async (port: number, text: string): Promise<string> => {
  const socket = connect(port, '127.0.0.1');
  socket.write(text, 'latin1');
  return (await drained(socket)).toString('latin1');
};

describe('routing', () => {
  test('names host and code when nothing is bound', async () => {
    const front = await startFront([]);
    const got = await ask(front, 'nobody.edge.test:8080');
    expect(got.status).toBe(404);
    expect(got.headers['ngrok-error-code']).toBe('ERR_NGROK_3200');
    expect(got.body.toString()).toMatch(/nobody\.edge\.test [\s\S]*\nERR_NGROK_3200\n/);
  });

  test('ignores case and port of the host and prefers the http endpoint of a name', async () => {
    const one = await httpUpstream((_q, r) => r.end('http'));
    const two = await httpUpstream((_q, r) => r.end('https'));
    const endpoints: EdgeEndpoint[] = [modelEndpoint({ proto: 'https', host: 'a.edge.test' }, two)];
    const front = await startFront(endpoints);
    expect((await ask(front, 'A.Edge.Test:99')).body.toString()).toBe('https');
    endpoints.push(modelEndpoint({ proto: 'http', host: 'a.edge.test' }, one));
    expect((await ask(front, 'a.edge.test')).body.toString()).toBe('http');
  });

  test('hides internal endpoints', async () => {
    const port = await httpUpstream((_q, r) => r.end('secret'));
    const front = await startFront([
      modelEndpoint({ proto: 'https', host: 'a.internal', binding: 'internal' }, port),
    ]);
    expect((await ask(front, 'a.internal')).status).toBe(404);
  });

  test('picks a pool member per request', async () => {
    const one = await httpUpstream((_q, r) => r.end('one'));
    const two = await httpUpstream((_q, r) => r.end('two'));
    const draws = [0.1, 0.9, 0.4];
    const members = [one, two].map((port) => modelEndpoint({ proto: 'https', host: 'p.edge.test' }, port));
    const front = await startFront(members, { random: () => draws.shift() ?? 0 });
    const bodies = [];
    for (let n = 0; n < 3; n += 1) bodies.push((await ask(front, 'p.edge.test')).body.toString());
    expect(bodies).toEqual(['one', 'two', 'one']);
    expect(members.map((member) => member.requests)).toEqual([2, 1]);
  });
});

describe('messages', () => {
  test('pass with case, order and duplicates of their header fields, forged ones replaced', async () => {
    let seen: string[] = [];
    const port = await httpUpstream((q, r) => {
      seen = q.rawHeaders;
      r.writeHead(201, 'Made', ['X-Out', '1', 'x-out', '2', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']);
      r.end('ok');
    });
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const forged = ['X-Forwarded-For', '6.6.6.6', 'x-forwarded-proto', 'gopher', 'X-Forwarded-Host', 'evil'];
    const hops = ['Connection', 'x-hop', 'X-Hop', '1', 'TE', 'gzip'];
    const got = await ask(front, 'a.edge.test:8443', {
      headers: ['X-Case', 'A', 'x-case', 'B', ...forged, ...hops],
    });
    expect(seen).toEqual([
      ...['Host', 'a.edge.test:8443', 'X-Case', 'A', 'x-case', 'B', 'X-Forwarded-For', '127.0.0.1'],
      ...['X-Forwarded-Host', 'a.edge.test:8443', 'X-Forwarded-Proto', 'http', 'Connection', 'keep-alive'],
    ]);
    expect(got.status).toBe(201);
    expect(got.rawHeaders.slice(0, 8)).toEqual([
      ...['X-Out', '1', 'x-out', '2', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
    ]);
  });

  test('keep the target of the request line to the letter', async () => {
    const port = await httpUpstream((q, r) => r.end(q.url));
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const path = '/a%2Fb/../c//d?x=%20&&y=[1]|{2}';
    expect((await ask(front, 'a.edge.test', { path })).body.toString()).toBe(path);
  });

  test('pass chunked bodies with trailers both ways', async () => {
    let seen: unknown;
    const port = await httpUpstream((q, r) => {
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
    });
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const text = await raw(
      front.httpPort,
      'POST / HTTP/1.1\r\nHost: a.edge.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-In\r\n\r\n' +
        '3\r\nabc\r\n0\r\nX-In: 7\r\n\r\n',
    );
    expect(seen).toEqual(['chunked', 'abc', ['X-In', '7']]);
    expect(text).toContain('4\r\npart\r\n0\r\nX-Sum: 42\r\n\r\n');
  });

  test('keep the length of HEAD and 304 answers, and a 204 without any', async () => {
    const port = await httpUpstream((q, r) => {
      if (q.url === '/204') r.writeHead(204, ['X-None', '1']).end();
      else if (q.url === '/304') r.writeHead(304, ['Content-Length', '77', 'ETag', '"a"']).end();
      else r.writeHead(200, ['Content-Length', '99']).end(q.method === 'HEAD' ? '' : 'x'.repeat(99));
    });
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const text = await raw(
      front.httpPort,
      [
        'HEAD / HTTP/1.1\r\nHost: a.edge.test\r\n\r\n',
        'GET /304 HTTP/1.1\r\nHost: a.edge.test\r\n\r\n',
        'GET /204 HTTP/1.1\r\nHost: a.edge.test\r\n\r\n',
        'GET / HTTP/1.1\r\nHost: a.edge.test\r\nConnection: close\r\n\r\n',
      ].join(''),
    );
    const heads = text.split(/(?=HTTP\/1\.1 )/);
    expect(heads.map((head) => head.slice(9, 12))).toEqual(['200', '304', '204', '200']);
    expect(heads[0]).toMatch(/Content-Length: 99\r\n[\s\S]*\r\n\r\n$/);
    expect(heads[1]).toMatch(/Content-Length: 77\r\n[\s\S]*\r\n\r\n$/);
    expect(heads[2]).not.toMatch(/content-length|transfer-encoding/i);
    expect(heads[3]).toMatch(/\r\n\r\nx{99}$/);
  });

  test('wait for 100-continue until the upstream says so', async () => {
    const port = await tcpUpstream((socket) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
        if (text.endsWith('body')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const req = begin(front, 'a.edge.test', {
      method: 'PUT',
      headers: ['Expect', '100-continue', 'Content-Length', '4'],
    });
    const answer = answerTo(req);
    req.flushHeaders();
    await once(req, 'continue');
    req.end('body');
    expect((await answer).body.toString()).toBe('ok');
  });

  test('take an answer that ends with the connection', async () => {
    const port = await tcpUpstream((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end'));
    });
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    expect((await ask(front, 'a.edge.test')).body.toString()).toBe('until the end');
  });

  test('frame an absent body as none', async () => {
    const port = await httpUpstream((q, r) => r.end(JSON.stringify([q.method, ...q.rawHeaders])));
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const text = await raw(
      front.httpPort,
      'POST / HTTP/1.1\r\nHost: a.edge.test\r\nConnection: close\r\n\r\n',
    );
    expect(text).toContain('"Content-Length","0"');
    expect(text).not.toContain('chunked"');
  });
});

describe('bodies', () => {
  test('of 100 MB pass both ways with equal hashes', { timeout: 60_000 }, async () => {
    const piece = randomBytes(1 << 20);
    const body = (): Readable =>
      Readable.from(
        (function* () {
          for (let n = 0; n < 100; n += 1) yield piece;
        })(),
      );
    const expected = createHash('sha256');
    for (let n = 0; n < 100; n += 1) expected.update(piece);
    const digest = expected.digest('hex');
    const port = await httpUpstream((q, r) => {
      const up = createHash('sha256');
      q.on('data', (chunk: Buffer) => up.update(chunk));
      q.on('end', () => {
        r.setHeader('X-Up', up.digest('hex'));
        pipeline(body(), r).catch(() => undefined);
      });
    });
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const req = begin(front, 'a.edge.test', { method: 'POST', headers: ['Transfer-Encoding', 'chunked'] });
    const down = createHash('sha256');
    const done = new Promise<string>((resolve, reject) => {
      req.on('error', reject);
      req.on('response', (res) => {
        res.on('data', (chunk: Buffer) => down.update(chunk));
        res.on('end', () => resolve(String(res.headers['x-up'])));
      });
    });
    await pipeline(body(), req);
    expect(await done).toBe(digest);
    expect(down.digest('hex')).toBe(digest);
  });

  test('wait at the upstream while a visitor reads nothing, and others are served', async () => {
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
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const stuck = begin(front, 'a.edge.test', { path: '/large' });
    afterwards(() => void stuck.destroy());
    stuck.on('error', () => undefined);
    stuck.end();
    await once(stuck, 'response');
    let before = -1;
    await vi.waitFor(
      () => {
        const isStill = sent === before;
        before = sent;
        expect(isStill).toBe(true);
      },
      { timeout: 10_000, interval: 300 },
    );
    expect(sent).toBeLessThan(100);
    expect((await ask(front, 'a.edge.test', { path: '/small' })).body.toString()).toBe('ok');
  });
});

describe('streams towards the agent', () => {
  test('are reused while idle, and end when the endpoint goes', async () => {
    const port = await httpUpstream((_q, r) => r.end('ok'));
    const endpoint = modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port);
    const front = await startFront([endpoint]);
    await ask(front, 'a.edge.test');
    await ask(front, 'a.edge.test');
    expect(endpoint.streams).toHaveLength(1);
    expect(endpoint.streams[0]?.destroyed).toBe(false);
    front.endpointGone(endpoint);
    expect(endpoint.streams[0]?.destroyed).toBe(true);
  });

  test('leave a request under way alone when the endpoint goes', async () => {
    let finish: (() => void) | undefined;
    const port = await httpUpstream((_q, r) => {
      r.write('begun ');
      finish = () => r.end('done');
    });
    const endpoint = modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port);
    const endpoints: EdgeEndpoint[] = [endpoint];
    const front = await startFront(endpoints);
    const answer = ask(front, 'a.edge.test');
    await vi.waitFor(() => expect(finish).toBeDefined());
    endpoints.length = 0;
    front.endpointGone(endpoint);
    finish?.();
    expect((await answer).body.toString()).toBe('begun done');
    await vi.waitFor(() => expect(endpoint.streams[0]?.destroyed).toBe(true));
  });

  test('end when the visitor leaves before the answer', async () => {
    let isClosed = false;
    let isAsked = false;
    const port = await httpUpstream((q) => {
      isAsked = true;
      q.socket.on('close', () => {
        isClosed = true;
      });
    });
    const endpoint = modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port);
    const front = await startFront([endpoint]);
    const req = begin(front, 'a.edge.test');
    req.on('error', () => undefined);
    req.end();
    await vi.waitFor(() => expect(isAsked).toBe(true));
    req.destroy();
    await vi.waitFor(() => expect(isClosed).toBe(true));
  });

  test('that died while idle cost an idempotent request one more stream, and a POST takes a fresh one', async () => {
    const port = await tcpUpstream((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        // Reads the next request and dies over it, as an upstream does whose idle time-out fires just then.
        socket.once('data', () => socket.end());
      });
    });
    const endpoint = modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port);
    const front = await startFront([endpoint]);
    for (const method of ['GET', 'GET', 'DELETE']) {
      expect((await ask(front, 'a.edge.test', { method })).status).toBe(200);
    }
    const got = await ask(front, 'a.edge.test', {
      method: 'POST',
      headers: ['Content-Length', '1'],
      body: 'x',
    });
    expect(got.status).toBe(200);
  });

  test('give no second chance when the answer never came on a fresh one', async () => {
    let asked = 0;
    const port = await tcpUpstream((socket) => {
      socket.once('data', () => {
        asked += 1;
        socket.end();
      });
    });
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    expect((await ask(front, 'a.edge.test')).status).toBe(502);
    expect(asked).toBe(1);
  });

  test('give 502 when the agent speaks no HTTP or is gone, 503 when it has no room', async () => {
    const port = await tcpUpstream((socket) => void socket.end('nonsense\r\n\r\n'));
    const full = modelEndpoint({ proto: 'https', host: 'full.edge.test' }, port);
    const front = await startFront([
      modelEndpoint({ proto: 'https', host: 'bad.edge.test' }, port),
      modelEndpoint({ proto: 'https', host: 'gone.edge.test' }, () => null),
      { ...full, open: () => Promise.reject(Object.assign(new Error('full'), { code: 'STREAM_CAP' })) },
    ]);
    for (const host of ['bad.edge.test', 'gone.edge.test']) {
      const got = await ask(front, host);
      expect([got.status, got.headers['ngrok-error-code']]).toEqual([502, 'ERR_NGROK_3004']);
    }
    expect((await ask(front, 'full.edge.test')).status).toBe(503);
  });

  test('that break off cut the visitor, whatever the framing', async () => {
    const port = await tcpUpstream((socket) => {
      socket.once('data', (chunk: Buffer) => {
        const framing = chunk.includes('/chunked')
          ? 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'
          : 'Content-Length: 50\r\n\r\nhello';
        socket.end(`HTTP/1.1 200 OK\r\n${framing}`);
      });
    });
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    for (const path of ['/chunked', '/length']) {
      await expect(ask(front, 'a.edge.test', { path })).rejects.toMatchObject({ code: 'ECONNRESET' });
    }
  });
});

describe('visitors', () => {
  test('with too large a header get 431, with nonsense 400', async () => {
    const front = await startFront([]);
    const huge = `GET / HTTP/1.1\r\nHost: a\r\nX-Big: ${'x'.repeat(70_000)}\r\n\r\n`;
    expect(await raw(front.httpPort, huge)).toMatch(/^HTTP\/1\.1 431 /);
    expect(await raw(front.httpPort, 'hello there\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('who send an ambiguous length or an unknown coding reach no upstream', async () => {
    let asked = 0;
    const port = await httpUpstream((_q, r) => {
      asked += 1;
      r.end();
    });
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const both =
      'POST / HTTP/1.1\r\nHost: a.edge.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
    expect(await raw(front.httpPort, both)).toMatch(/^HTTP\/1\.1 400 /);
    const coded =
      'POST / HTTP/1.1\r\nHost: a.edge.test\r\nConnection: close\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n';
    expect(await raw(front.httpPort, coded)).toMatch(/^HTTP\/1\.1 501 /);
    expect(asked).toBe(0);
  });

  test('keep their connection over many requests', async () => {
    const port = await httpUpstream((_q, r) => r.end('ok'));
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const socket = connect(front.httpPort, '127.0.0.1');
    afterwards(() => void socket.destroy());
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    for (let n = 1; n <= 3; n += 1) {
      socket.write('GET / HTTP/1.1\r\nHost: a.edge.test\r\n\r\n');
      await vi.waitFor(() => expect(text.match(/ok/g)?.length).toBe(n));
    }
    expect(socket.destroyed).toBe(false);
  });

  test('who owe a body and send none are given up, those whom the upstream keeps waiting are not', async () => {
    const clock = manualClock();
    let taken = '';
    const port = await tcpUpstream((socket) =>
      socket.on('data', (chunk: Buffer) => {
        taken += chunk.toString();
      }),
    );
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)], { clock });
    const lazy = connect(front.httpPort, '127.0.0.1');
    lazy.on('error', () => undefined);
    lazy.write('PUT / HTTP/1.1\r\nHost: a.edge.test\r\nContent-Length: 9\r\n\r\nabc');
    const patient = begin(front, 'a.edge.test');
    patient.on('error', () => undefined);
    afterwards(() => void patient.destroy());
    patient.end();
    await vi.waitFor(() => {
      expect(taken).toContain('abc');
      expect(taken).toContain('GET / ');
    });
    await clock.advance(119_000);
    lazy.write('DDD');
    await vi.waitFor(() => expect(taken).toContain('DDD'));
    await clock.advance(2_000);
    expect(lazy.destroyed).toBe(false);
    const closed = once(lazy, 'close');
    await clock.advance(120_000);
    await closed;
    expect(patient.destroyed).toBe(false);
  });

  test('who read nothing for long are cut, and the upstream is freed', async () => {
    const clock = manualClock();
    let isFreed = false;
    const port = await httpUpstream((_q, r) => {
      r.on('close', () => {
        isFreed = true;
      });
      const chunk = Buffer.alloc(1 << 20);
      const more = (): void => {
        let isWilling = true;
        while (isWilling) isWilling = r.write(chunk);
      };
      r.on('drain', more);
      more();
    });
    const endpoint = modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port);
    const front = await startFront([endpoint], { clock });
    const stuck = begin(front, 'a.edge.test');
    stuck.on('error', () => undefined);
    stuck.end();
    const [response] = await once(stuck, 'response');
    response.on('error', () => undefined);
    await vi.waitFor(
      async () => {
        await clock.advance(60_000);
        expect(isFreed).toBe(true);
      },
      { timeout: 15_000, interval: 200 },
    );
  });

  test('whom the edge answers before their body comes cannot have it read as a next request', async () => {
    const front = await startFront([]);
    const text = await raw(
      front.httpPort,
      'PUT / HTTP/1.1\r\nHost: a.edge.test\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n',
    );
    expect(text).toMatch(/^HTTP\/1\.1 404 [\s\S]*\r\nConnection: close\r\n/);
  });

  test('are ended by closing the front end', async () => {
    const port = await httpUpstream(() => undefined);
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const req = request({ port: front.httpPort, headers: { host: 'a.edge.test' }, agent: false });
    const ended = once(req, 'error');
    req.end();
    await once(req, 'finish');
    await front.close();
    expect((await ended)[0]).toMatchObject({ code: 'ECONNRESET' });
  });
});
