import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import type { BindSpec, UpstreamTarget } from '../../../src/core/endpoint.ts';
import type { Fault } from '../../../src/core/errors.ts';
import { type CertificateAuthority, createCertificateAuthority } from '../../../src/sandbox/certificates.ts';
import { createStreamBudget } from '../../../src/tunnel/relay/budget.ts';
import { createBufferPool } from '../../../src/tunnel/relay/buffer-pool.ts';
import { createEndpointRelay, type EndpointRelay } from '../../../src/tunnel/relay/endpoint-relay.ts';
import { freePort } from '../../support/free-port.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { bindSpec } from '../../support/tunnel-lab.ts';
import { waitFor } from '../../support/wait-for.ts';

interface Rig {
  readonly relay: EndpointRelay;
  readonly upstreamFaults: (Fault | null)[];
  readonly saturation: boolean[];
  dial(): Socket;
}

const rig = async (
  target: Partial<UpstreamTarget>,
  over: Partial<BindSpec> = {},
  descriptorLimit?: () => number,
): Promise<Rig> => {
  const path = join(await tempDir(), 'r.sock');
  const upstreamFaults: (Fault | null)[] = [];
  const saturation: boolean[] = [];
  const budget = createStreamBudget(systemClock, (on) => saturation.push(on), descriptorLimit);
  const relay: EndpointRelay = createEndpointRelay({
    spec: bindSpec('web', target, over),
    path,
    clock: systemClock,
    buffers: createBufferPool(16_384, 4),
    budget,
    makeRoom: () => relay.evictIdle(),
    onUpstream: (problem) => upstreamFaults.push(problem),
    notes: null,
  });
  await relay.listen();
  onTestFinished(() => relay.close());
  return {
    relay,
    upstreamFaults,
    saturation,
    dial: () => {
      const socket = connect({ path, allowHalfOpen: true });
      socket.on('error', () => undefined);
      onTestFinished(() => void socket.destroy());
      return socket;
    },
  };
};

/** A raw upstream; connections end with the test. */
const upstream = async (handler: (socket: Socket) => void): Promise<number> => {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    handler(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
};

const readAll = async (socket: Socket): Promise<string> => {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  await once(socket, 'end');
  return text;
};

/** Resolves when the relay has ended the connection, then leaves it too. */
const refused = async (socket: Socket): Promise<void> => {
  await readAll(socket);
  socket.destroy();
};

const descriptors = async (): Promise<number> => (await readdir('/proc/self/fd')).length;

const TCP = { proto: 'tcp', url: '' } as const;

describe('bytes', () => {
  test('pass both ways with half-close both ways', async () => {
    const port = await upstream((socket) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      socket.on('end', () => socket.end(`got ${text}`));
    });
    const { dial, relay } = await rig({ port }, TCP);
    const visitor = dial();
    const answer = readAll(visitor);
    visitor.write('one ');
    visitor.end('two');
    expect(await answer).toBe('got one two');
    await waitFor(() => relay.open === 0);
    expect(relay.counters()).toMatchObject({
      connections: 1,
      bytesIn: 7,
      bytesOut: 11,
      open: 0,
      inFlight: 0,
    });
  });

  test('may go on towards the upstream after it has ended its side', async () => {
    let late = '';
    const port = await upstream((socket) => {
      socket.end('first');
      socket.on('data', (chunk: Buffer) => {
        late += chunk.toString();
      });
    });
    const { dial, relay } = await rig({ port }, TCP);
    const visitor = dial();
    expect(await readAll(visitor)).toBe('first');
    visitor.end('second');
    await waitFor(() => late === 'second');
    await waitFor(() => relay.open === 0);
  });

  test('of a server that speaks first arrive, a hundred times of a hundred', async () => {
    const banner = 'B'.repeat(40);
    const port = await upstream((socket) => {
      socket.write(banner);
      socket.on('end', () => socket.end()).resume();
    });
    const { dial, relay } = await rig({ port }, TCP);
    const got = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const visitor = dial();
        const [chunk] = (await once(visitor, 'data')) as [Buffer];
        visitor.destroy();
        return chunk.toString();
      }),
    );
    expect(got).toEqual(Array.from({ length: 100 }, () => banner));
    await waitFor(() => relay.open === 0);
  });

  test('arrive whole when the visitor reads slowly, and the upstream is held back meanwhile', async () => {
    const total = 24 * 1024 * 1024;
    let sent = 0;
    const port = await upstream((socket) => {
      const block = Buffer.alloc(65_536);
      const fill = (): void => {
        while (sent < total) {
          block.writeUInt32LE(sent);
          sent += block.length;
          if (!socket.write(Buffer.from(block))) {
            socket.once('drain', fill);
            return;
          }
        }
        socket.end();
      };
      fill();
    });
    const { dial, relay } = await rig({ port }, TCP);
    const visitor = dial();
    visitor.pause();
    await waitFor(() => relay.counters().bytesOut > 0);
    let before = -1;
    await waitFor(
      () => {
        const now = relay.counters().bytesOut;
        const isStill = now === before;
        before = now;
        return isStill;
      },
      { everyMs: 100 },
    );
    expect(before).toBeLessThan(total / 2);
    const parts: Buffer[] = [];
    visitor.on('data', (chunk: Buffer) => parts.push(chunk));
    visitor.resume();
    await once(visitor, 'end');
    const all = Buffer.concat(parts);
    expect(all.length).toBe(total);
    for (let at = 0; at < total; at += 65_536) expect(all.readUInt32LE(at)).toBe(at);
  });

  test('arrive whole when the upstream reads slowly, and the visitor is held back meanwhile', async () => {
    const total = 16 * 1024 * 1024;
    let received = 0;
    let reader: Socket | null = null;
    const port = await upstream((socket) => {
      reader = socket;
      socket.pause();
      socket.on('data', (chunk: Buffer) => {
        received += chunk.length;
      });
      socket.pause();
    });
    const { dial, relay } = await rig({ port }, TCP);
    const visitor = dial();
    visitor.end(Buffer.alloc(total));
    await waitFor(() => relay.counters().bytesIn > 0);
    let before = -1;
    await waitFor(
      () => {
        const now = relay.counters().bytesIn;
        const isStill = now === before;
        before = now;
        return isStill;
      },
      { everyMs: 100 },
    );
    expect(before).toBeLessThan(total);
    (reader as Socket | null)?.resume();
    await waitFor(() => received === total);
  });

  test('end on both sides when either breaks, without a descriptor left behind', async () => {
    const port = await upstream((socket) => {
      socket.on('data', (chunk: Buffer) => {
        if (chunk.toString() === 'reset') socket.resetAndDestroy();
      });
      socket.on('end', () => socket.end());
    });
    const { dial, relay } = await rig({ port }, TCP);
    const warm = dial();
    await once(warm, 'connect');
    warm.destroy();
    await waitFor(() => relay.open === 0);
    const before = await descriptors();
    for (let n = 0; n < 100; n += 1) {
      const visitor = dial();
      await once(visitor, 'connect');
      if (n % 2 === 0) visitor.write('reset');
      else visitor.end();
      await refused(visitor);
    }
    await waitFor(() => relay.open === 0);
    await waitFor(async () => (await descriptors()) <= before + 3, { what: 'closed descriptors' });
  });
});

describe('an upstream that cannot be had', () => {
  test('gives an http visitor 502 naming the endpoint and not the address, after the request was read', async () => {
    const port = await freePort();
    const { dial, relay, upstreamFaults } = await rig({ port });
    const visitor = dial();
    const answer = readAll(visitor);
    visitor.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab');
    await waitFor(() => relay.counters().bytesIn > 0);
    expect(relay.inFlight()).toEqual([{ endpoint: 'web', kind: 'http', count: 1 }]);
    visitor.write('cd');
    const text = await answer;
    expect(text).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);
    expect(text).toContain('connection: close');
    expect(text).toContain('Endpoint web: its upstream does not answer.');
    expect(text).not.toContain(String(port));
    await waitFor(() => relay.open === 0);
    expect(relay.counters()).toMatchObject({ requests: 1, responses: [0, 0, 0, 0, 1], upstreamFailures: 1 });
    expect(upstreamFaults).toMatchObject([{ code: 'UPSTREAM_DOWN' }]);
    expect(upstreamFaults[0]?.message).toContain(`127.0.0.1:${port}`);
  });

  test('ends a tcp visitor, and is reported once until it answers again', async () => {
    const port = await freePort();
    const { dial, relay, upstreamFaults } = await rig({ port }, TCP);
    for (let n = 0; n < 3; n += 1) await refused(dial());
    expect(upstreamFaults).toHaveLength(1);
    const server = createServer((socket) => socket.end('ok'));
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    expect(await readAll(dial())).toBe('ok');
    expect(upstreamFaults).toHaveLength(2);
    expect(upstreamFaults[1]).toBeNull();
    expect(relay.counters().upstreamFailures).toBe(3);
  });

  test('is found again without a visitor', async () => {
    const port = await freePort();
    const { dial, relay, upstreamFaults } = await rig({ port }, TCP);
    await refused(dial());
    const server = createServer((socket) => socket.end());
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    await waitFor(() => {
      relay.sweep();
      return upstreamFaults.length === 2;
    });
    expect(upstreamFaults[1]).toBeNull();
    expect(relay.counters().connections).toBe(1);
  });

  test('is never an address that is always refused', async () => {
    const { dial, upstreamFaults } = await rig({ host: '169.254.169.254', port: 80, ref: 'meta' }, TCP);
    await refused(dial());
    expect(upstreamFaults).toMatchObject([{ code: 'UPSTREAM_DENIED', retryable: false }]);
  });
});

describe('an upstream that speaks TLS', () => {
  let authority: CertificateAuthority;
  beforeAll(async () => {
    authority = await createCertificateAuthority(Date.now());
  });

  const tlsUpstream = async (names: { dns: string[]; ip: string[] }): Promise<number> => {
    const pair = await authority.issue(names);
    const server = createTlsServer({ ...pair, allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (chunk) =>
        socket.end(
          `HTTP/1.1 200 OK\r\nContent-Length: ${chunk.length}\r\nConnection: close\r\n\r\n${chunk.toString()}`,
        ),
      );
    });
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    return (server.address() as AddressInfo).port;
  };
  const caFile = async (): Promise<string> => {
    const path = join(await tempDir(), 'ca.pem');
    await authority.writeTo(path);
    return path;
  };
  const ask = async ({ dial }: Rig): Promise<string> => {
    const visitor = dial();
    const answer = readAll(visitor);
    visitor.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    return (await answer).split('\r\n')[0] ?? '';
  };

  test('is refused by default when nobody known has signed it, naming the certificate and the expected name', async () => {
    const world = await rig({
      ref: 'panel',
      port: await tlsUpstream({ dns: [], ip: ['127.0.0.1'] }),
      tls: { verify: true },
    });
    expect(await ask(world)).toBe('HTTP/1.1 502 Bad Gateway');
    expect(world.upstreamFaults).toMatchObject([{ code: 'UPSTREAM_TLS' }]);
    expect(world.upstreamFaults[0]?.message).toMatch(/certificate of upstream panel.*127\.0\.0\.1/);
  });

  test('is served without verification', async () => {
    const port = await tlsUpstream({ dns: ['panel'], ip: [] });
    expect(await ask(await rig({ port, tls: { verify: false } }))).toBe('HTTP/1.1 200 OK');
  });

  test('is served with its own authority and name', async () => {
    const port = await tlsUpstream({ dns: ['panel'], ip: [] });
    const ca = await caFile();
    const world = await rig({ port, tls: { verify: true, caFile: ca, serverName: 'panel' } });
    expect(await ask(world)).toBe('HTTP/1.1 200 OK');
    const other = await rig({ port, tls: { verify: true, caFile: ca } });
    expect(await ask(other)).toBe('HTTP/1.1 502 Bad Gateway');
    expect(other.upstreamFaults[0]?.message).toContain(
      'it is for another name; the name expected in it is 127.0.0.1',
    );
  });

  test('that turns out to be plain is told so', async () => {
    const port = await upstream((socket) => void socket.end('220 ready\r\n'));
    const world = await rig({ port, tls: { verify: true } });
    expect(await ask(world)).toBe('HTTP/1.1 502 Bad Gateway');
    expect(world.upstreamFaults).toMatchObject([{ code: 'UPSTREAM_TLS' }]);
  });

  test('with a caFile that cannot be read is told so', async () => {
    const world = await rig({ port: 1, tls: { verify: true, caFile: '/nowhere/ca.pem' } });
    expect(await ask(world)).toBe('HTTP/1.1 502 Bad Gateway');
    expect(world.upstreamFaults[0]?.message).toContain('caFile');
  });
});

describe('at the limit', () => {
  test('new connections are refused and counted, and taken again when load has fallen', async () => {
    const port = await upstream((socket) => {
      socket.on('end', () => socket.end()).resume();
    });
    const { dial, relay, saturation } = await rig({ port }, TCP, () => 64 + 3 * 2);
    const first = [dial(), dial()];
    await waitFor(() => relay.open === 2);
    await refused(dial());
    expect(saturation).toEqual([true]);
    expect(relay.counters()).toMatchObject({ refused: 1, connections: 2 });
    for (const socket of first) socket.destroy();
    await waitFor(() => relay.open === 0);
    dial();
    await waitFor(() => relay.open === 1);
  });

  test('an idle http connection makes room for a new one', async () => {
    const port = await upstream((socket) => {
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
    });
    const { dial, relay } = await rig({ port }, {}, () => 64 + 3 * 1);
    const idle = dial();
    idle.write('GET / HTTP/1.1\r\n\r\n');
    await once(idle, 'data');
    const next = dial();
    next.write('GET / HTTP/1.1\r\n\r\n');
    await once(next, 'data');
    expect(relay.counters()).toMatchObject({ requests: 2, refused: 0 });
  });
});

test('a connection is in flight by what it owes: idle keep-alive not, WebSocket and tcp while open', async () => {
  const port = await upstream((socket) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunk.includes('Upgrade')) socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\nfirst message');
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
  });
  const { dial, relay } = await rig({ port });
  const idle = dial();
  idle.write('GET / HTTP/1.1\r\n\r\n');
  await once(idle, 'data');
  expect(relay.inFlight()).toEqual([]);
  const socket = dial();
  socket.write('GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n');
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  expect(chunk.toString()).toContain('first message');
  expect(relay.inFlight()).toEqual([{ endpoint: 'web', kind: 'websocket', count: 1 }]);
  expect(relay.counters()).toMatchObject({ open: 2, inFlight: 1, responses: [1, 1, 0, 0, 0] });
  relay.endIdle();
  await once(idle, 'end');
  expect(relay.inFlight()).toHaveLength(1);
});
