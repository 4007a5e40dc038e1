import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { Agent, type ClientRequest, createServer, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket, WebSocketServer, type WebSocket as Ws } from 'ws';
import { bindSpec, type LabSupervisor, type TunnelLab, tunnelLab } from '../support/tunnel-lab.ts';
import { httpUpstream, tcpUpstream } from '../support/tunnel-upstreams.ts';
import { waitFor } from '../support/wait-for.ts';

interface World extends LabSupervisor {
  readonly lab: TunnelLab;
  readonly pid: number;
}

const up = async (lab?: TunnelLab): Promise<World> => {
  const place = lab ?? (await tunnelLab());
  const supervisor = place.supervisor();
  supervisor.start();
  const { pid } = await supervisor.event('started');
  await supervisor.event('connected');
  return { lab: place, pid, ...supervisor };
};

const descriptorsOf = async (pid: number): Promise<number> => (await readdir(`/proc/${pid}/fd`)).length;

/** A WebSocket upstream that greets in the packet of its 101. */
const webSocketUpstream = async (): Promise<number> => {
  const sockets = new WebSocketServer({ noServer: true });
  const server = createServer();
  server.on('upgrade', (incoming, socket, head) => {
    socket.cork();
    sockets.handleUpgrade(incoming, socket, head, (ws) => {
      ws.send('greeting');
      ws.on('message', (data) => ws.send(data));
      ws.on('error', () => undefined);
    });
    socket.uncork();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const client of sockets.clients) client.terminate();
    server.close();
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
};

const openWebSocket = ({ lab }: World, host: string): Ws => {
  const ws = new WebSocket(`ws://127.0.0.1:${lab.front.httpPort}/`, { headers: { host } });
  ws.on('error', () => undefined);
  onTestFinished(() => ws.terminate());
  return ws;
};

const tcpPort = async ({ event }: World): Promise<number> => Number(new URL((await event('bound')).url).port);

describe('taking down', () => {
  test('an endpoint lets the request in flight end, and nothing new come', async () => {
    const w = await up();
    let finish = (): void => undefined;
    const port = await httpUpstream((incoming, response) => {
      if (incoming.url !== '/slow') {
        response.end('fast');
        return;
      }
      response.write('half');
      finish = () => void response.end(' and half');
    });
    w.tunnels.bind('t1', bindSpec('web', { port }));
    await w.event('serving');
    const slow = w.lab.get('web.edge.test', '/slow');
    await w.event('counters', ({ endpoints }) => (endpoints['web']?.bytesOut ?? 0) > 0);
    w.tunnels.unbind('t1', 'web', 20_000);
    expect(await w.event('closed')).toMatchObject({ endpoint: 'web' });
    expect(w.lab.edge.members('https', 'web.edge.test')).toEqual([]);
    expect((await w.lab.get('web.edge.test')).status).toBe(404);
    expect(w.events.some(({ type }) => type === 'unbound')).toBe(false);
    finish();
    expect(await slow).toEqual({ status: 200, body: 'half and half' });
    expect(await w.event('unbound')).toMatchObject({ endpoint: 'web', cut: [] });
    // The process and its session serve on.
    w.tunnels.bind('t1', bindSpec('web', { port }));
    await waitFor(() => w.events.filter(({ type }) => type === 'serving').length === 2);
    expect(await w.lab.get('web.edge.test')).toEqual({ status: 200, body: 'fast' });
  });

  test('the process names the WebSockets and connections that the deadline cut', async () => {
    const w = await up();
    w.tunnels.bind('t1', bindSpec('ws', { port: await webSocketUpstream() }));
    w.tunnels.bind(
      't1',
      bindSpec('raw', { port: await tcpUpstream(() => undefined) }, { proto: 'tcp', url: '' }),
    );
    await w.event('serving', ({ endpoint }) => endpoint === 'raw');
    const { url } = await w.event('bound', ({ endpoint }) => endpoint === 'raw');
    const raw = connect(Number(new URL(url).port), '127.0.0.1');
    raw.on('error', () => undefined);
    onTestFinished(() => void raw.destroy());
    const [one, two] = [openWebSocket(w, 'ws.edge.test'), openWebSocket(w, 'ws.edge.test')];
    await Promise.all([once(one, 'message'), once(two, 'message')]);
    await w.event(
      'counters',
      ({ endpoints }) => endpoints['raw']?.open === 1 && endpoints['ws']?.inFlight === 2,
    );
    w.tunnels.drain('t1', 500);
    const drained = await w.event('drained');
    expect(drained.cut).toContainEqual({ endpoint: 'ws', kind: 'websocket', count: 2 });
    expect(drained.cut).toContainEqual({ endpoint: 'raw', kind: 'tcp', count: 1 });
    expect(drained.cut).toHaveLength(2);
    expect(await w.event('exited')).toMatchObject({ code: 0 });
    await waitFor(() => one.readyState === WebSocket.CLOSED && two.readyState === WebSocket.CLOSED);
  });

  test('the process ends soon although idle keep-alive connections stay', async () => {
    const w = await up();
    const port = await httpUpstream((_incoming, response) => response.end('ok'));
    w.tunnels.bind('t1', bindSpec('web', { port }));
    await w.event('serving');
    await Promise.all(Array.from({ length: 20 }, () => w.lab.get('web.edge.test')));
    w.tunnels.drain('t1', 60_000);
    expect((await w.event('drained')).tookMs).toBeLessThan(30_000);
  });

  test('SIGTERM drains too', async () => {
    const w = await up();
    w.tunnels.bind('t1', bindSpec('web', { port: 9 }));
    await w.event('serving');
    process.kill(w.pid, 'SIGTERM');
    await w.event('drained');
    expect(await w.event('exited')).toMatchObject({ code: 0 });
  });
});

test('a hundred of a hundred visitors hear a server that speaks first, over tcp and WebSocket', async () => {
  const w = await up();
  const banner = 'B'.repeat(40);
  const port = await tcpUpstream((socket) => {
    socket.write(banner);
    socket.on('end', () => socket.end()).resume();
  });
  w.tunnels.bind('t1', bindSpec('raw', { port }, { proto: 'tcp', url: '' }));
  const publicPort = await tcpPort(w);
  w.tunnels.bind('t1', bindSpec('ws', { port: await webSocketUpstream() }));
  await w.event('serving', ({ endpoint }) => endpoint === 'ws');
  const heard = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const visitor = connect(publicPort, '127.0.0.1');
      let text = '';
      for await (const chunk of visitor) {
        text += String(chunk);
        if (text.length >= banner.length) break;
      }
      return text;
    }),
  );
  expect(heard).toEqual(Array.from({ length: 100 }, () => banner));
  const greeted = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const ws = openWebSocket(w, 'ws.edge.test');
      const [data] = (await once(ws, 'message')) as [Buffer];
      ws.terminate();
      return data.toString();
    }),
  );
  expect(greeted).toEqual(Array.from({ length: 100 }, () => 'greeting'));
});

test('connections of every fate leave no descriptor behind', async () => {
  const w = await up();
  const held = new Set<Socket>();
  const port = await tcpUpstream((socket) => {
    socket.once('data', (chunk: Buffer) => {
      if (chunk.toString() === 'stay') held.add(socket);
      else socket.end('bye');
    });
  });
  w.tunnels.bind('t1', bindSpec('raw', { port }, { proto: 'tcp', url: '' }));
  const publicPort = await tcpPort(w);
  await w.event('serving');
  const visit = (fate: 'normal' | 'reset' | 'stay'): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect(publicPort, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.once('close', () => resolve());
      socket.on('data', () => undefined);
      socket.once('connect', () => {
        socket.write(fate);
        if (fate === 'reset') socket.resetAndDestroy();
        else if (fate === 'stay') socket.destroy();
      });
    });
  await visit('normal');
  const before = await descriptorsOf(w.pid);
  const fates = ['normal', 'reset', 'stay'] as const;
  for (let round = 0; round < 30; round += 1) {
    await Promise.all(Array.from({ length: 20 }, (_, n) => visit(fates[n % 3] ?? 'normal')));
  }
  // Nothing of all this may have cost the session.
  expect(w.events.map(({ type }) => type)).not.toContain('disconnected');
  await waitFor(async () => (await descriptorsOf(w.pid)) <= before + 10, {
    deadlineMs: 50_000,
    everyMs: 500,
    what: 'closed descriptors',
  });
  expect(await visit('normal')).toBeUndefined();
});

test('a full process refuses, says so, and is good again by itself', async () => {
  const w = await up();
  const port = await httpUpstream((incoming, response) => {
    if (incoming.url === '/hold') response.write('x');
    else response.end('ok');
  });
  w.tunnels.bind('t1', bindSpec('web', { port }));
  await w.event('serving');
  await once(
    (await import('node:child_process')).spawn('prlimit', [`--pid=${w.pid}`, '--nofile=128:128']),
    'exit',
  );
  const limits = await readFile(`/proc/${w.pid}/limits`, 'utf8');
  expect(limits).toMatch(/Max open files\s+128/);
  const agent = new Agent({ keepAlive: false });
  const hold = (): ClientRequest => {
    const visitor = request({
      port: w.lab.front.httpPort,
      host: '127.0.0.1',
      path: '/hold',
      headers: { host: 'web.edge.test' },
      agent,
    });
    visitor
      .on('error', () => undefined)
      .on('response', (response) => response.resume().on('error', () => undefined));
    visitor.end();
    return visitor;
  };
  const requests: ClientRequest[] = [];
  // The process may have looked at its limit a moment before it fell: visitors keep coming.
  await waitFor(
    () => {
      requests.push(...Array.from({ length: 60 }, hold));
      return w.events.some((event) => event.type === 'saturated' && event.on);
    },
    { what: 'a full process that says so', everyMs: 700 },
  );
  for (const visitor of requests) visitor.destroy();
  await w.event('saturated', ({ on }) => !on, 60_000);
  expect(await w.lab.get('web.edge.test')).toEqual({ status: 200, body: 'ok' });
});

test('the upstream is told apart from the endpoint', async () => {
  const w = await up();
  w.tunnels.bind('t1', bindSpec('web', { port: 9 }));
  await w.event('serving');
  const answer = await w.lab.get('web.edge.test');
  expect(answer).toEqual({ status: 502, body: 'Endpoint web: its upstream does not answer.\n' });
  const { fault } = await w.event('upstream');
  expect(fault).toMatchObject({ code: 'UPSTREAM_DOWN' });
  expect(fault?.message).toContain('127.0.0.1:9');
});

test('requests one after the other do not wait for Nagle', async () => {
  const lab = await tunnelLab({ noOpAck: false });
  const w = await up(lab);
  const port = await httpUpstream((_incoming, response) => response.end('ok'));
  w.tunnels.bind('t1', bindSpec('web', { port }));
  await w.event('serving');
  const median = async (): Promise<number> => {
    const times: number[] = [];
    for (let n = 0; n < 21; n += 1) {
      const startedAt = performance.now();
      await lab.get('web.edge.test');
      times.push(performance.now() - startedAt);
    }
    return times.sort((a, b) => a - b)[10] ?? 0;
  };
  // Nagle's algorithm costs 40 ms each; a busy machine does not cost that in the median.
  expect(await median()).toBeLessThan(30);
  lab.edge.faults.drop('fin');
  await w.event('reconnected');
  expect(await median()).toBeLessThan(30);
});
