import { expect, test } from 'vitest';
import { fetchOver } from '../support/direct-http.ts';
import { type EdgeWorld, startEdgeWorld } from '../support/edge-world.ts';
import { RawAgent } from '../support/raw-agent.ts';
import type { SdkAgent } from '../support/sdk-agent.ts';
import { pathUpstream, type Upstream } from '../support/upstreams.ts';
import { waitFor } from '../support/wait-for.ts';

/** Endpoints of each kind: named, random, tcp, tls, pooled and not. */
const bindAll = async (agent: SdkAgent, upstream: Upstream): Promise<Map<string, string>> => {
  const { port } = upstream;
  const asks = [
    { name: 'named', proto: 'http', calls: [['domain', 'a.edge.test']], to: `http://127.0.0.1:${port}` },
    { name: 'random', proto: 'http', calls: [['poolingEnabled', true]], to: `http://127.0.0.1:${port}` },
    { name: 'tcp', proto: 'tcp', to: `tcp://127.0.0.1:${port}` },
    { name: 'tls', proto: 'tls', to: `tls://127.0.0.1:${port}` },
  ] as const;
  const urls = new Map<string, string>();
  for (const ask of asks) urls.set(ask.name, (await agent.bind(ask)).url);
  return urls;
};

const sorted = (texts: Iterable<string>): readonly string[] =>
  [...texts].sort((one, other) => one.localeCompare(other));

const urlsOf = (world: EdgeWorld): readonly string[] =>
  sorted(
    [...world.edge.sessions.values()].flatMap((session) =>
      [...session.endpoints.values()].map(({ url }) => url),
    ),
  );

const counts = (world: EdgeWorld) => {
  const seen = { opened: 0, resumed: 0, rebound: 0, superseded: 0 };
  world.edge.events.on('session-opened', (_session, { resumed }) => {
    seen.opened += 1;
    if (resumed) seen.resumed += 1;
  });
  world.edge.events.on('session-closed', (_session, { superseded }) => {
    if (superseded) seen.superseded += 1;
  });
  world.edge.events.on('endpoint-bound', (_endpoint, { rebound }) => {
    if (rebound) seen.rebound += 1;
  });
  return seen;
};

test.each(['fin', 'rst'] as const)(
  '16, 17: after the edge cut TCP (%s) the agent comes back with id and cookie, and its endpoints keep URLs and ids',
  async (how) => {
    const world = await startEdgeWorld();
    const upstream = await pathUpstream();
    const agent = await world.connected();
    const urls = await bindAll(agent, upstream);
    const [session] = [...world.edge.sessions.values()];
    const ids = [...(session?.endpoints.keys() ?? [])];
    const seen = counts(world);
    world.edge.faults.drop(how);
    await waitFor(() => seen.rebound === 4);
    expect(seen).toMatchObject({ opened: 1, resumed: 1 });
    expect([...world.edge.sessions.keys()]).toEqual([session?.id]);
    const [again] = [...world.edge.sessions.values()];
    expect(sorted(again?.endpoints.keys() ?? [])).toEqual(sorted(ids));
    expect(urlsOf(world)).toEqual(sorted(urls.values()));
    const [endpoint] = world.edge.members('https', 'a.edge.test');
    if (endpoint === undefined) throw new Error('not bound again');
    expect((await fetchOver(endpoint)).status).toBe(200);
    for (const [name, url] of urls) expect(await agent.url(name)).toBe(url);
  },
);

test('16: a second cut is survived as the first one was', async () => {
  const world = await startEdgeWorld();
  const agent = await world.connected();
  const urls = await bindAll(agent, await pathUpstream());
  const seen = counts(world);
  for (const round of [1, 2, 3]) {
    world.edge.faults.drop('rst');
    await waitFor(() => seen.rebound === 4 * round);
  }
  expect(urlsOf(world)).toEqual(sorted(urls.values()));
  expect(seen.resumed).toBe(3);
});

test('18: at a GOAWAY old and new session overlap, and neither 108 nor 334 stands in the way', async () => {
  const world = await startEdgeWorld();
  world.accounts.setToken('one only', { maxSessions: 1 });
  const agent = await world.connected({ authtoken: 'one only' });
  const urls = await bindAll(agent, await pathUpstream());
  const seen = counts(world);
  const lost: string[] = [];
  world.edge.events.on('endpoint-closed', ({ url }) => lost.push(url));
  world.edge.faults.drop('go-away');
  await waitFor(() => seen.rebound === 4 && seen.superseded === 1);
  expect(world.edge.sessions.size).toBe(1);
  expect(urlsOf(world)).toEqual(sorted(urls.values()));
  expect(world.edge.refusals).toEqual([]);
  // Nothing was off line in between: each endpoint moved from one connection to the other.
  expect(lost).toEqual([]);
});

test('18: takes over while the old connection is still thought to be alive', async () => {
  const world = await startEdgeWorld();
  world.accounts.setToken('tok default', { maxSessions: 1 });
  const bindText = (id: string, token: string): string =>
    JSON.stringify({ Id: id, Proto: 'https', Opts: { Domain: 'a.edge.test' }, Extra: { Token: token } });
  const old = await RawAgent.dial(world);
  await old.beat();
  const first = (await old.auth()) as { ClientId: string; Extra: { Cookie: string } };
  const bound = (await old.rpc(1, bindText('', ''))) as { Id: string; Extra: { Token: string } };

  const fresh = await RawAgent.dial(world);
  await fresh.beat();
  const claim = { ClientId: first.ClientId, Cookie: first.Extra.Cookie };
  const second = (await fresh.rpc(0, fresh.authText(claim))) as typeof first;
  expect(second.ClientId).toBe(first.ClientId);
  expect(second.Extra.Cookie).not.toBe(first.Extra.Cookie);
  expect(await fresh.rpc(1, bindText(bound.Id, bound.Extra.Token))).toMatchObject({ Id: bound.Id });
  expect(world.edge.members('https', 'a.edge.test')).toHaveLength(1);
  // The late end of the old connection takes nothing away.
  old.socket.destroy();
  await old.closed;
  await fresh.beat();
  expect(world.edge.members('https', 'a.edge.test')).toHaveLength(1);
  expect(world.edge.sessions.size).toBe(1);
});

test('a wrong cookie continues nothing, and a wrong token rebinds nothing', async () => {
  const world = await startEdgeWorld();
  const bindText = (id: string, token: string): string =>
    JSON.stringify({ Id: id, Proto: 'https', Opts: { Domain: 'a.edge.test' }, Extra: { Token: token } });
  const owner = await RawAgent.dial(world);
  await owner.beat();
  const first = (await owner.auth()) as { ClientId: string };
  const bound = (await owner.rpc(1, bindText('', ''))) as { Id: string };
  const thief = await RawAgent.dial(world);
  await thief.beat();
  const stolen = thief.authText({ ClientId: first.ClientId, Cookie: 'guess' });
  const second = (await thief.rpc(0, stolen)) as { ClientId: string };
  expect(second.ClientId).not.toBe(first.ClientId);
  expect(await thief.rpc(1, bindText(bound.Id, 'guess'))).toMatchObject({
    Error: expect.stringContaining('ERR_NGROK_334'),
  });
  expect(world.edge.members('https', 'a.edge.test')[0]?.sessionId).toBe(first.ClientId);
});

test('an endpoint of an earlier edge is bound again under the id that its agent knows', async () => {
  const world = await startEdgeWorld();
  const agent = await RawAgent.dial(world);
  await agent.beat();
  await agent.rpc(0, agent.authText({ ClientId: 'ts_of_earlier_edge', Cookie: 'old' }));
  const request = {
    Id: 'ep_of_earlier_edge',
    Proto: 'https',
    Opts: { Domain: '', Hostname: 'r.edge.test' },
    Extra: { Token: 'old token' },
  };
  expect(await agent.rpc(1, JSON.stringify(request))).toMatchObject({
    Id: 'ep_of_earlier_edge',
    Extra: { Token: 'old token' },
  });
});

test('38: a refused rebind, of which the agent says nothing, is in the log of the edge', async () => {
  const world = await startEdgeWorld();
  const agent = await world.connected();
  const stranger = await world.connected();
  const upstream = await pathUpstream();
  const to = `http://127.0.0.1:${upstream.port}`;
  const bound = await agent.bind({ name: 'web', proto: 'http', calls: [['domain', 'a.edge.test']], to });
  // The stranger binds the name in the moment in which it is free.
  const [session] = [...world.edge.sessions.values()];
  await world.edge.faults.refuse(true);
  world.edge.cut(session?.id ?? '', 'rst');
  await agent.event('disconnect');
  await stranger.bind({ name: 'web', proto: 'http', calls: [['domain', 'a.edge.test']], to });
  await world.edge.faults.refuse(false);
  await waitFor(() => world.edge.refusals.length > 0);
  expect(world.edge.refusals[0]).toMatchObject({
    endpointId: bound.id,
    code: 'ERR_NGROK_334',
    address: 'https://a.edge.test',
  });
});

test('with a grace, the address of a lost session is kept for its holder and refused to strangers', async () => {
  const world = await startEdgeWorld({ graceMs: 60_000 });
  const agent = await world.connected();
  const stranger = await world.connected();
  const upstream = await pathUpstream();
  const ask = {
    name: 'web',
    proto: 'http',
    calls: [
      ['domain', 'a.edge.test'],
      ['poolingEnabled', false],
    ],
    to: `http://127.0.0.1:${upstream.port}`,
  } as const;
  const bound = await agent.bind(ask);
  const [session] = [...world.edge.sessions.values()];
  await world.edge.faults.refuse(true);
  world.edge.cut(session?.id ?? '', 'fin');
  await agent.event('disconnect');
  expect(world.edge.members('https', 'a.edge.test')).toEqual([]);
  await expect(stranger.bind(ask)).rejects.toThrow('ERR_NGROK_334');
  await world.edge.faults.refuse(false);
  const [endpoint] = await waitFor(() => {
    const members = world.edge.members('https', 'a.edge.test');
    return members.length > 0 && members;
  });
  expect(endpoint?.id).toBe(bound.id);
});

test('13: a session without beats for interval and tolerance is cut, and its URLs are free', async () => {
  const world = await startEdgeWorld();
  const agent = await world.connected({ heartbeatS: 1, toleranceS: 1 });
  const other = await world.connected({ heartbeatS: 1, toleranceS: 1 });
  await bindAll(agent, await pathUpstream());
  const reasons: string[] = [];
  world.edge.events.on('session-closed', (_session, { reason }) => reasons.push(reason));
  agent.signal('SIGSTOP');
  await waitFor(() => reasons.length > 0);
  agent.signal('SIGCONT');
  expect(reasons).toEqual(['no heartbeat in time']);
  expect(other.events.some(({ event }) => event === 'disconnect')).toBe(false);
});

test('14: session.close(), which sends nothing, ends in the same state', async () => {
  const world = await startEdgeWorld();
  const agent = await world.connected({ heartbeatS: 1, toleranceS: 1 });
  await bindAll(agent, await pathUpstream());
  await agent.closeSession();
  expect(world.edge.members('https', 'a.edge.test')).toHaveLength(1);
  await waitFor(() => world.edge.sessions.size === 0);
  expect(world.edge.members('https', 'a.edge.test')).toEqual([]);
});

test('a mute session stays when the edge is told not to look', async () => {
  const world = await startEdgeWorld({ enforceHeartbeat: false });
  const mute = await world.connected({ heartbeatS: 1, toleranceS: 1 });
  await mute.closeSession();
  const other = await world.connected({ heartbeatS: 1, toleranceS: 1 });
  await other.event('beat', 4);
  expect(world.edge.sessions.size).toBe(2);
});
