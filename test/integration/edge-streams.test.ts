import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import type { EdgeEndpoint } from '../../src/sandbox/contract.ts';
import { Session } from '../../src/sandbox/edge/session.ts';
import { fetchOn, fetchOver, VISITOR } from '../support/direct-http.ts';
import { type EdgeWorld, startEdgeWorld } from '../support/edge-world.ts';
import type { SdkAgent } from '../support/sdk-agent.ts';
import { httpUpstream, pathUpstream, sha256, tcpUpstream, type Upstream } from '../support/upstreams.ts';
import { waitFor } from '../support/wait-for.ts';

const endpointOf = (world: EdgeWorld, name: string): EdgeEndpoint => {
  const [endpoint] = world.edge.members('https', `${name}.edge.test`);
  if (endpoint === undefined) throw new Error(`${name} is not bound`);
  return endpoint;
};

const bindHttp = async (
  world: EdgeWorld,
  agent: SdkAgent,
  upstream: Upstream,
  name = 'a',
): Promise<EdgeEndpoint> => {
  const to = `http://127.0.0.1:${upstream.port}`;
  await agent.bind({ name, proto: 'http', calls: [['domain', `${name}.edge.test`]], to });
  return endpointOf(world, name);
};

const bindTcp = async (world: EdgeWorld, agent: SdkAgent, upstream: Upstream): Promise<EdgeEndpoint> => {
  const { url } = await agent.bind({ name: 'tcp', proto: 'tcp', to: `tcp://127.0.0.1:${upstream.port}` });
  const [endpoint] = world.edge.tcpMembers(Number(new URL(url).port));
  if (endpoint === undefined) throw new Error('not bound');
  return endpoint;
};

const streamsOf = (world: EdgeWorld): number => {
  const [session] = [...world.edge.sessions.values()];
  if (!(session instanceof Session)) throw new Error('no session');
  return session.mux.size;
};

const drain = async (stream: Duplex): Promise<string> => {
  let seen = '';
  for await (const chunk of stream) seen += String(chunk);
  return seen;
};

test('23: 200 connections at once are all answered, three times in a row, on one session', async () => {
  const world = await startEdgeWorld();
  const agent = await world.connected();
  const endpoint = await bindHttp(world, agent, await pathUpstream());
  for (const round of [1, 2, 3]) {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => fetchOver(endpoint, `/${round}/${index}`)),
    );
    expect(answers.map(({ body }) => String(body))).toEqual(
      Array.from({ length: 200 }, (_, index) => `path /${round}/${index}`),
    );
  }
  expect(agent.events.some(({ event }) => event === 'disconnect')).toBe(false);
});

test('25: twice 390 and then 1,500 connections at once queue at the cap and are all answered, without a reconnect', async () => {
  const world = await startEdgeWorld();
  const agent = await world.connected();
  const endpoint = await bindHttp(world, agent, await pathUpstream());
  let most = 0;
  for (const load of [390, 390, 1_500]) {
    const answers = Array.from({ length: load }, () =>
      fetchOver(endpoint).then(({ status }) => {
        most = Math.max(most, streamsOf(world));
        return status;
      }),
    );
    expect(new Set(await Promise.all(answers))).toEqual(new Set([200]));
  }
  expect(most).toBeLessThanOrEqual(400);
  expect(most).toBeGreaterThan(300);
  expect(agent.events.some(({ event }) => event === 'disconnect')).toBe(false);
});

test('25: more than the queue holds is refused at once, and the session lives', async () => {
  const world = await startEdgeWorld({ streamCap: 4, streamQueue: 3 });
  const upstream = await tcpUpstream((socket) => {
    socket.resume();
    socket.on('end', () => socket.end());
  });
  const agent = await world.connected();
  const endpoint = await bindTcp(world, agent, upstream);
  // The heartbeat is one of the four.
  const open = await Promise.all(Array.from({ length: 3 }, () => endpoint.open(VISITOR)));
  const waiting = Promise.allSettled(Array.from({ length: 3 }, () => endpoint.open(VISITOR)));
  await expect(endpoint.open(VISITOR)).rejects.toMatchObject({ code: 'STREAM_CAP' });
  for (const stream of open) stream.destroy();
  expect((await waiting).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
  expect(agent.events.some(({ event }) => event === 'disconnect')).toBe(false);
});

test('25: 100 connections to a listener that nobody accepts leave the other endpoints serving', async () => {
  const world = await startEdgeWorld({ streamWaitMs: 500 });
  const agent = await world.connected();
  await agent.listen({ name: 'idle', proto: 'http', calls: [['domain', 'idle.edge.test']] });
  const serving = await bindHttp(world, agent, await pathUpstream());
  const outcomes = await Promise.allSettled(
    Array.from({ length: 100 }, () => endpointOf(world, 'idle').open(VISITOR)),
  );
  const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
  expect(refused).toHaveLength(40);
  expect(refused[0]).toMatchObject({ code: 'STREAM_CAP' });
  for (let round = 0; round < 5; round += 1) expect((await fetchOver(serving)).status).toBe(200);
  await bindHttp(world, agent, await pathUpstream(), 'b');
});

test('24: 2,000 connections ended by either side or aborted leave one stream and no upstream socket', async () => {
  const world = await startEdgeWorld();
  const upstream = await tcpUpstream((socket) => {
    socket.on('data', (chunk) => {
      if (String(chunk) === 'you end') socket.end('bye');
      else socket.write('hello');
    });
    socket.on('end', () => socket.end());
  });
  const agent = await world.connected();
  const endpoint = await bindTcp(world, agent, upstream);
  const ways = [
    async (stream: Duplex): Promise<void> => {
      stream.write('I end');
      await once(stream, 'data');
      stream.end();
      await drain(stream);
    },
    async (stream: Duplex): Promise<void> => {
      stream.write('you end');
      await drain(stream);
      stream.end();
    },
    async (stream: Duplex): Promise<void> => {
      stream.end('you end');
      await drain(stream);
    },
    async (stream: Duplex): Promise<void> => {
      stream.write('I go');
      await once(stream, 'data');
      stream.destroy();
    },
  ];
  for (let round = 0; round < 125; round += 1) {
    await Promise.all(
      Array.from({ length: 16 }, async (_, index) =>
        ways[index % ways.length]?.(await endpoint.open(VISITOR)),
      ),
    );
  }
  await waitFor(() => streamsOf(world) === 1);
  await waitFor(() => upstream.open === 0);
  expect(upstream.accepted).toBe(2_000);
  expect(agent.events.some(({ event }) => event === 'disconnect')).toBe(false);
});

test('12, 26: 100 MB down and 20 MB up arrive whole, and beats are echoed meanwhile', async () => {
  const world = await startEdgeWorld();
  const down = randomBytes(100_000_000);
  const up = randomBytes(20_000_000);
  let received = '';
  const upstream = await httpUpstream((request, response) => {
    if (request.method === 'GET') {
      response.end(down);
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received = sha256(Buffer.concat(chunks));
      response.end('got it');
    });
  });
  const agent = await world.connected({ heartbeatS: 1 });
  const endpoint = await bindHttp(world, agent, upstream);
  const beats = (): number => agent.events.filter(({ event }) => event === 'beat').length;
  const beatsBefore = beats();
  const [answer, posted] = await Promise.all([
    fetchOver(endpoint),
    fetchOver(endpoint, '/', { method: 'POST', body: up }),
  ]);
  // However long the transfers take: until a beat has come back, there is one under way.
  while (beats() === beatsBefore) await fetchOver(endpoint);
  expect(agent.events.some(({ event, latencyMs }) => event === 'beat' && latencyMs === null)).toBe(false);
  expect(sha256(answer.body)).toBe(sha256(down));
  expect(posted.status).toBe(200);
  expect(received).toBe(sha256(up));
});

test('26: a visitor who reads nothing costs no memory, and the other streams go on', async () => {
  const world = await startEdgeWorld();
  let sent = 0;
  const upstream = await tcpUpstream((socket) => {
    const chunk = Buffer.alloc(65_536);
    const push = (): void => {
      while (!socket.destroyed) {
        sent += chunk.length;
        if (!socket.write(chunk)) break;
      }
    };
    socket.on('drain', push);
    socket.on('end', () => socket.end());
    socket.on('data', push);
  });
  const agent = await world.connected();
  const endpoint = await bindTcp(world, agent, upstream);
  const serving = await bindHttp(world, agent, await pathUpstream());
  const stuck = await endpoint.open(VISITOR);
  stuck.write('go');
  await once(stuck, 'readable');
  let before = -1;
  await waitFor(
    () => {
      const isStill = sent === before;
      before = sent;
      return isStill;
    },
    { everyMs: 200 },
  );
  expect(stuck.readableLength).toBeLessThanOrEqual(262_144);
  for (let round = 0; round < 20; round += 1) expect((await fetchOver(serving)).status).toBe(200);
  stuck.destroy();
  await waitFor(() => upstream.open === 0);
});

test('28: half-close works in both directions', async () => {
  const world = await startEdgeWorld();
  const upstream = await tcpUpstream((socket) => {
    let seen = '';
    socket.on('data', (chunk) => {
      seen += String(chunk);
      if (seen === 'end first') socket.end('upstream is done');
    });
    socket.on('end', () => {
      if (socket.writable) socket.end(`heard ${seen}`);
    });
  });
  const agent = await world.connected();
  const endpoint = await bindTcp(world, agent, upstream);
  const ours = await endpoint.open(VISITOR);
  ours.end('we end first');
  expect(await drain(ours)).toBe('heard we end first');

  const theirs = await endpoint.open(VISITOR);
  theirs.write('end first');
  expect(await drain(theirs)).toBe('upstream is done');
  expect(upstream.open).toBe(1);
  theirs.end('and still we talk');
  await waitFor(() => upstream.open === 0);
});

test('30: a dead upstream is a 502 on http, and a clean end on tcp', async () => {
  const world = await startEdgeWorld();
  const dead = await pathUpstream();
  dead.close();
  const agent = await world.connected();
  const http = await bindHttp(world, agent, dead);
  const answer = await fetchOver(http);
  expect(answer.status).toBe(502);
  expect(String(answer.body)).toContain('failed to dial backend');
  const tcp = await bindTcp(world, agent, dead);
  const stream = await tcp.open(VISITOR);
  stream.write('anyone?');
  expect(await drain(stream)).toBe('');
});

test('keep-alive works: many requests over one stream use one upstream connection', async () => {
  const world = await startEdgeWorld();
  const upstream = await tcpUpstream((socket) => socket.pipe(socket));
  const agent = await world.connected();
  const endpoint = await bindTcp(world, agent, upstream);
  const stream = await endpoint.open(VISITOR);
  for (const word of ['one', 'two', 'three']) {
    stream.write(word);
    expect(String((await once(stream, 'data'))[0])).toBe(word);
  }
  expect(upstream.accepted).toBe(1);
  stream.end();
  await drain(stream);
});

test('streams in flight break when the connection of their agent does', async () => {
  const world = await startEdgeWorld();
  const upstream = await httpUpstream(() => undefined);
  const agent = await world.connected();
  const endpoint = await bindHttp(world, agent, upstream);
  const stream = await endpoint.open(VISITOR);
  const answer = fetchOn(stream, '/');
  await waitFor(() => upstream.open === 1);
  const expectation = expect(answer).rejects.toMatchObject({ code: 'ECONNRESET' });
  world.edge.faults.drop('rst');
  await expectation;
});
