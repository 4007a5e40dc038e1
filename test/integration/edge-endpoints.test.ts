import net from 'node:net';
import { expect, test } from 'vitest';
import { fetchOver } from '../support/direct-http.ts';
import { type EdgeWorld, startEdgeWorld } from '../support/edge-world.ts';
import { freePort } from '../support/free-port.ts';
import { RawAgent } from '../support/raw-agent.ts';
import type { BindAsk, SdkAgent } from '../support/sdk-agent.ts';
import { httpUpstream, pathUpstream, tcpUpstream } from '../support/upstreams.ts';
import { waitFor } from '../support/wait-for.ts';

const codeOf = async (attempt: Promise<unknown>): Promise<string | undefined> => {
  const outcome = await attempt.then(
    () => 'was not refused',
    (error: Error) => error.message,
  );
  return /ERR_NGROK_\d+/.exec(outcome)?.[0] ?? outcome;
};

const ask = (name: string, domain: string, port: number, pooled = false): BindAsk => ({
  name,
  proto: 'http',
  calls: [
    ['domain', domain],
    ['poolingEnabled', pooled],
  ],
  to: `http://127.0.0.1:${port}`,
});

const only = (world: EdgeWorld, host: string) => {
  const [endpoint, ...others] = world.edge.members('https', host);
  if (endpoint === undefined || others.length > 0) throw new Error(`not exactly one member of ${host}`);
  return endpoint;
};

const rawBind = async (world: EdgeWorld, proto: string, opts: object, id = '', token = '') => {
  const agent = await RawAgent.dial(world);
  await agent.beat();
  await agent.auth();
  const request = {
    Id: id,
    Proto: proto,
    ForwardsTo: 'x',
    ForwardsProto: '',
    Opts: opts,
    Extra: { Token: token },
  };
  return (await agent.rpc(1, JSON.stringify(request))) as Record<string, unknown>;
};

test('15: the answer to a bind echoes its options and fills in the address', async () => {
  const world = await startEdgeWorld();
  const http = { Domain: 'A.edge.test', Hostname: '', ProxyProto: 2, TrafficPolicy: null, Compression: {} };
  expect(await rawBind(world, 'https', http)).toEqual({
    Id: expect.stringMatching(/^ep_[0-9A-Za-z]{27}$/),
    URL: `https://a.edge.test:${world.front.httpsPort}`,
    Proto: 'https',
    Opts: { ...http, Hostname: 'a.edge.test' },
    Extra: { Token: expect.stringMatching(/.{20,}/) },
  });
  const port = await freePort();
  expect(await rawBind(world, 'tcp', { Addr: `1.tcp.edge.test:${port}`, ProxyProto: 0 })).toMatchObject({
    URL: `tcp://1.tcp.edge.test:${port}`,
    Opts: { Addr: `1.tcp.edge.test:${port}`, ProxyProto: 0 },
  });
  const random = await rawBind(world, 'tls', {
    Domain: '',
    Hostname: '',
    TLSTermination: null,
    ProxyProto: 0,
  });
  expect(random['URL']).toMatch(/^tls:\/\/[0-9a-f]{12}\.edge\.test:\d+$/);
});

test('5: a request passes over a proxy stream, and the upstream sees it as it is', async () => {
  const world = await startEdgeWorld();
  const upstream = await pathUpstream();
  const agent = await world.connected();
  const bound = await agent.bind(ask('web', 'a.edge.test', upstream.port));
  const endpoint = only(world, 'a.edge.test');
  expect(endpoint).toMatchObject({
    id: bound.id,
    url: bound.url,
    proto: 'https',
    pooled: false,
    account: 'A',
  });
  expect(String((await fetchOver(endpoint, '/deep?x=1')).body)).toBe('path /deep?x=1');
});

test('connections that come before the agent can know its endpoint are held, not dropped', async () => {
  const world = await startEdgeWorld();
  const upstream = await pathUpstream();
  const agent = await world.connected();
  const early: Promise<{ status: number }>[] = [];
  world.edge.events.on('endpoint-bound', (endpoint) => early.push(fetchOver(endpoint)));
  for (let round = 0; round < 8; round += 1) {
    await agent.bind(ask(`web${round}`, `a${round}.edge.test`, upstream.port));
  }
  expect((await Promise.all(early)).map(({ status }) => status)).toEqual(Array(8).fill(200));
});

test('19: an online URL is refused with 334 when either side lacks pooling, and shared when both have it', async () => {
  const world = await startEdgeWorld();
  const upstream = await pathUpstream();
  const [first, second] = [await world.connected(), await world.connected()];
  const bindBoth = async (domain: string, one: boolean, other: boolean): Promise<string | undefined> => {
    await first.bind(ask(domain, domain, upstream.port, one));
    return codeOf(second.bind(ask(domain, domain, upstream.port, other)));
  };
  expect(await bindBoth('neither.edge.test', false, false)).toBe('ERR_NGROK_334');
  expect(await bindBoth('first.edge.test', true, false)).toBe('ERR_NGROK_334');
  expect(await bindBoth('second.edge.test', false, true)).toBe('ERR_NGROK_334');
  expect(await bindBoth('both.edge.test', true, true)).toBe('was not refused');
  await first.bind(ask('again', 'both.edge.test', upstream.port, true));
  expect(world.edge.members('https', 'both.edge.test')).toHaveLength(3);
  // A refusal does not hurt the session.
  await second.bind(ask('other', 'other.edge.test', upstream.port));
});

test('20, 22: an unbind, which the SDK sends up to three times, takes one member off and leaves the others', async () => {
  const world = await startEdgeWorld();
  const upstream = await pathUpstream();
  const [first, second] = [await world.connected(), await world.connected()];
  const gone: string[] = [];
  world.edge.events.on('endpoint-closed', ({ id }, reason) => gone.push(`${id} ${reason}`));
  const one = await first.bind(ask('web', 'a.edge.test', upstream.port, true));
  const two = await second.bind(ask('web', 'a.edge.test', upstream.port, true));
  await first.close('web');
  expect(only(world, 'a.edge.test').id).toBe(two.id);
  expect((await fetchOver(only(world, 'a.edge.test'))).status).toBe(200);
  await first.bind(ask('again', 'b.edge.test', upstream.port));
  expect(gone).toEqual([`${one.id} unbind`]);
});

test('21: a request in flight when its listener closes is answered whole', async () => {
  const world = await startEdgeWorld();
  let finish: () => void = () => undefined;
  const upstream = await httpUpstream((_request, response) => {
    response.write('begun, ');
    finish = () => response.end('done');
  });
  const agent = await world.connected();
  await agent.bind(ask('web', 'a.edge.test', upstream.port));
  const endpoint = only(world, 'a.edge.test');
  const answer = fetchOver(endpoint);
  await waitFor(() => upstream.open === 1);
  await agent.close('web');
  expect(world.edge.members('https', 'a.edge.test')).toEqual([]);
  await expect(fetchOver(endpoint)).rejects.toMatchObject({ code: 'ENDPOINT_GONE' });
  finish();
  expect(String((await answer).body)).toBe('begun, done');
});

test('37: the ACL decides: an allowed name binds, others are refused with 316, 308 and 356, and the session lives', async () => {
  const world = await startEdgeWorld();
  const upstream = await pathUpstream();
  world.accounts.setToken('scoped', { acl: ['bind:*.site.edge.test'] });
  const agent = await world.connected({ authtoken: 'scoped' });
  const tcp = (calls: BindAsk['calls']): Promise<unknown> =>
    agent.bind({ name: 'tcp', proto: 'tcp', calls: calls ?? [], to: `tcp://127.0.0.1:${upstream.port}` });
  expect(await codeOf(agent.bind(ask('no', 'a.edge.test', upstream.port)))).toBe('ERR_NGROK_316');
  expect(await codeOf(tcp([['remoteAddr', `1.tcp.edge.test:${await freePort()}`]]))).toBe('ERR_NGROK_308');
  expect(await codeOf(tcp([]))).toBe('ERR_NGROK_356');
  await agent.bind(ask('yes', 'a.site.edge.test', upstream.port));
  expect((await fetchOver(only(world, 'a.site.edge.test'))).status).toBe(200);
  expect(world.edge.refusals.map(({ code }) => code)).toEqual([
    'ERR_NGROK_316',
    'ERR_NGROK_308',
    'ERR_NGROK_356',
  ]);
});

test('malformed names, too many endpoints and a revoked credential are refused at bind', async () => {
  const world = await startEdgeWorld({ endpointsPerSession: 1 });
  const upstream = await pathUpstream();
  world.accounts.setToken('soon revoked');
  const agent = await world.connected({ authtoken: 'soon revoked' });
  expect(await codeOf(agent.bind(ask('bad', 'a_b.edge.test', upstream.port)))).toBe('ERR_NGROK_326');
  await agent.bind(ask('one', 'one.edge.test', upstream.port));
  expect(await codeOf(agent.bind(ask('two', 'two.edge.test', upstream.port)))).toBe('ERR_NGROK_324');
  world.edge.settings.endpointsPerSession = null;
  world.accounts.revokeToken('soon revoked', 'next-bind');
  expect(await codeOf(agent.bind(ask('two', 'two.edge.test', upstream.port)))).toBe('ERR_NGROK_300');
});

test('internal endpoints are reached within their account only, and not by public names', async () => {
  const world = await startEdgeWorld();
  const upstream = await pathUpstream();
  world.accounts.setToken('tok b', { account: 'B' });
  const [a, b] = [await world.connected(), await world.connected({ authtoken: 'tok b' })];
  const bound = await a.bind(ask('web', 'hmi.site.internal', upstream.port));
  // Another account may have the same internal name.
  await b.bind(ask('web', 'hmi.site.internal', upstream.port));
  expect(world.edge.members('https', 'hmi.site.internal')).toEqual([]);
  const members = world.edge.internalMembers('A', 'https', 'hmi.site.internal');
  expect(members.map(({ id, binding }) => [id, binding])).toEqual([[bound.id, 'internal']]);
  expect(bound.url).toBe('https://hmi.site.internal');
});

test('a wildcard endpoint takes the names under it that have none of their own', async () => {
  const world = await startEdgeWorld();
  const upstream = await pathUpstream();
  const agent = await world.connected();
  const wild = await agent.bind(ask('wild', '*.site.edge.test', upstream.port));
  const exact = await agent.bind(ask('exact', 'a.site.edge.test', upstream.port));
  expect(only(world, 'B.site.edge.test').id).toBe(wild.id);
  expect(only(world, 'a.site.edge.test').id).toBe(exact.id);
  expect(world.edge.members('https', 'site.edge.test')).toEqual([]);
});

const echoThrough = (port: number, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    let seen = '';
    socket.on('data', (chunk) => {
      seen += String(chunk);
    });
    socket.on('end', () => resolve(seen));
    socket.on('error', reject);
    socket.end(text);
  });

test('28: a tcp endpoint gets a loopback port that its URL names, half-closes both ways, and ends with its last member', async () => {
  const world = await startEdgeWorld();
  const upstream = await tcpUpstream((socket) => {
    let seen = '';
    socket.on('data', (chunk) => {
      seen += String(chunk);
    });
    socket.on('end', () => socket.end(`you said ${seen}`));
  });
  const bindTcp = (agent: SdkAgent, calls: BindAsk['calls']): Promise<{ url: string }> =>
    agent.bind({ name: 'tcp', proto: 'tcp', calls: calls ?? [], to: `tcp://127.0.0.1:${upstream.port}` });
  const [first, second] = [await world.connected(), await world.connected()];
  const { url } = await bindTcp(first, [['poolingEnabled', true]]);
  const { hostname, port } = new URL(url);
  expect(hostname).toBe('127.0.0.1');
  expect(await echoThrough(Number(port), 'hello')).toBe('you said hello');
  await bindTcp(second, [
    ['poolingEnabled', true],
    ['remoteAddr', `127.0.0.1:${port}`],
  ]);
  expect(world.edge.tcpMembers(Number(port))).toHaveLength(2);
  await first.close('tcp');
  expect(await echoThrough(Number(port), 'still')).toBe('you said still');
  await second.close('tcp');
  await waitFor(() =>
    echoThrough(Number(port), 'gone').then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
    ),
  );
});

test('a tcp port that somebody else holds is refused, and the session lives', async () => {
  const world = await startEdgeWorld();
  const upstream = await tcpUpstream((socket) => socket.end());
  const agent = await world.connected();
  const refused = agent.bind({
    name: 'tcp',
    proto: 'tcp',
    calls: [['remoteAddr', `1.tcp.edge.test:${upstream.port}`]],
    to: 'tcp://127.0.0.1:9',
  });
  expect(await codeOf(refused)).toBe('ERR_NGROK_802');
  await agent.bind(ask('web', 'a.edge.test', upstream.port));
});

test('URLs are without the port of the front end when told so', async () => {
  const world = await startEdgeWorld({ urlPort: false });
  const agent = await world.connected();
  expect((await agent.bind(ask('web', 'a.edge.test', 9))).url).toBe('https://a.edge.test');
});

test('without the delay before routing, the race of the SDK can be seen: an early connection is dropped', async () => {
  const world = await startEdgeWorld({ routeDelayMs: 0 });
  const upstream = await pathUpstream();
  const agent = await world.connected();
  const outcomes: Promise<string>[] = [];
  world.edge.events.on('endpoint-bound', (endpoint) => {
    outcomes.push(
      fetchOver(endpoint).then(
        ({ status }) => String(status),
        () => 'dropped',
      ),
    );
  });
  for (let round = 0; round < 40; round += 1) {
    await agent.bind(ask(`web${round}`, `a${round}.edge.test`, upstream.port));
  }
  expect(await Promise.all(outcomes)).toContain('dropped');
});
