import { connect } from 'node:net';
import mqtt from 'mqtt';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type SandboxWorld, startSandboxWorld, visit } from '../support/sandbox-world.ts';
import type { SdkAgent } from '../support/sdk-agent.ts';
import { waitFor } from '../support/wait-for.ts';

const bind = (agent: SdkAgent, host: string) =>
  agent.bind({ name: host, proto: 'http', calls: [['domain', host]], to: 'http://127.0.0.1:9' });

const dial = (world: SandboxWorld, authtoken: string): Promise<SdkAgent> => world.agent({ authtoken });

const get = async (world: SandboxWorld, path: string): Promise<unknown> =>
  (await fetch(`${world.sandbox.control.url}${path}`)).json();

const portAnswer = (port: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve('accepted'));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    socket.once('close', () => socket.destroy());
    onTestFinished(() => void socket.destroy());
  });

test('tells who is connected and what is on line', async () => {
  const world = await startSandboxWorld({ tokens: { second: 'tok second' } });
  expect(await get(world, '/state')).toEqual({ sessions: [], endpoints: [] });
  const agent = await world.agent({
    authtoken: 'tok second',
    metadata: 'box 7',
    client: ['lockkeeper', '1.2.3', 'box 7'],
  });
  const bound = await bind(agent, 'x.edge.test');
  await visit(world.sandbox.line.edge.http, 'x.edge.test');
  await visit(world.sandbox.line.edge.http, 'x.edge.test');
  const state = (await get(world, '/state')) as { sessions: { since: string }[] };
  expect(state).toMatchObject({
    sessions: [
      {
        id: expect.stringMatching(/^ts_/),
        authtokenName: 'second',
        metadata: 'box 7',
        clientInfo: expect.stringContaining('lockkeeper/1.2.3'),
      },
    ],
    endpoints: [{ id: bound.id, url: bound.url, proto: 'https', pooled: false, metadata: '', requests: 2 }],
  });
  expect(Date.parse(state.sessions[0]?.since ?? '')).toBeGreaterThan(Date.now() - 3_600_000);
  const [endpoint] = world.sandbox.state().endpoints;
  expect(endpoint?.sessionId).toBe(world.sandbox.state().sessions[0]?.id);
});

describe('faults', () => {
  test.each(['fin', 'rst'])('cut every agent by %s', async (how) => {
    const world = await startSandboxWorld();
    const agents = [await world.agent(), await world.agent()];
    expect(await world.fault({ op: 'drop', how })).toEqual({ status: 200, body: {} });
    for (const agent of agents) await agent.event('disconnect');
  });

  test('refuse connections at the agent port and take them again', async () => {
    const world = await startSandboxWorld();
    const port = Number(world.sandbox.edge.addr.split(':')[1]);
    await world.fault({ op: 'refuse', on: true });
    expect(await portAnswer(port)).toBe('ECONNREFUSED');
    await world.fault({ op: 'refuse', on: false });
    expect(await portAnswer(port)).toBe('accepted');
    await world.agent();
  });

  test('make a black hole of the edge and end it', async () => {
    const world = await startSandboxWorld();
    const agent = await world.agent();
    await world.fault({ op: 'silence', on: true });
    let isBound = false;
    const pending = bind(agent, 'x.edge.test').then(() => {
      isBound = true;
    });
    // The broker and the API are not part of the hole: a round trip through both shows that time has passed.
    await world.api('GET', 'credentials');
    expect(isBound).toBe(false);
    expect(world.sandbox.state().endpoints).toEqual([]);
    await world.fault({ op: 'silence', on: false });
    await pending;
  });

  test('delay the answers to the agent', async () => {
    const world = await startSandboxWorld();
    const agent = await world.agent();
    await world.fault({ op: 'delay', ms: 400 });
    const before = performance.now();
    await bind(agent, 'x.edge.test');
    // A lower bound only: timers never fire early by more than their resolution.
    expect(performance.now() - before).toBeGreaterThan(390);
  });

  test('revoke a token: its sessions are cut, others live, and it is refused from then on', async () => {
    const world = await startSandboxWorld({
      tokens: { lost: 'tok lost' },
      switches: { revoke: 'next-connect' },
    });
    const lost = await dial(world, 'tok lost');
    await world.agent();
    expect((await world.fault({ op: 'revoke', authtoken: 'tok lost' })).status).toBe(200);
    await lost.event('disconnect');
    await waitFor(() => world.sandbox.state().sessions.length === 1);
    expect(world.sandbox.state().sessions[0]?.authtokenName).toBe('default');
    await expect(dial(world, 'tok lost')).rejects.toThrow('ERR_NGROK_107');
    expect((await world.fault({ op: 'revoke', authtoken: 'tok lost' })).status).toBe(200);
  });

  test('add a token with an ACL and a limit, and change it', async () => {
    const world = await startSandboxWorld();
    const authtoken = 'any text will do';
    await expect(dial(world, authtoken)).rejects.toThrow('ERR_NGROK_105');
    await world.fault({ op: 'token', authtoken, account: 'B', acl: ['bind:*.edge.test'], maxSessions: 1 });
    const agent = await dial(world, authtoken);
    await bind(agent, 'x.edge.test');
    await expect(bind(agent, 'x.example.com')).rejects.toThrow('ERR_NGROK_316');
    await expect(dial(world, authtoken)).rejects.toThrow('ERR_NGROK_108');
    expect(world.sandbox.state().sessions[0]).toMatchObject({ account: 'B' });
    await world.fault({ op: 'token', authtoken, acl: [] });
    await dial(world, authtoken);
    await bind(agent, 'x.example.com');
  });

  test('take the broker down and up on the same port', async () => {
    const world = await startSandboxWorld();
    const { url } = world.sandbox.line.broker;
    const client = await mqtt.connectAsync(url, { reconnectPeriod: 20, clientId: 'c' });
    onTestFinished(() => client.endAsync(true));
    client.on('error', () => undefined);
    const closed = new Promise((resolve) => client.once('close', () => resolve(null)));
    await world.fault({ op: 'broker', on: false });
    await closed;
    expect(await portAnswer(Number(new URL(url).port))).toBe('ECONNREFUSED');
    const back = new Promise((resolve) => client.once('connect', () => resolve(null)));
    await world.fault({ op: 'broker', on: true });
    await back;
    const again = new Promise((resolve) => client.once('close', () => resolve(null)));
    expect((await world.fault({ op: 'broker-cut', clientId: 'c' })).status).toBe(200);
    await again;
  });

  test('cut one session or end one endpoint', async () => {
    const world = await startSandboxWorld();
    const [one, two] = [await world.agent({ metadata: 'one' }), await world.agent({ metadata: 'two' })];
    const bound = await bind(two, 'x.edge.test');
    const stop = { op: 'stop-endpoint', endpointId: bound.id, message: 'enough', code: 'ERR_NGROK_802' };
    expect((await world.fault(stop)).status).toBe(200);
    expect((await two.event('joined'))['error']).toContain('ERR_NGROK_802');
    const session = world.sandbox.state().sessions.find(({ metadata }) => metadata === 'one');
    expect((await world.fault({ op: 'cut', sessionId: session?.id ?? '' })).status).toBe(200);
    await one.event('disconnect');
    expect(two.events.some(({ event }) => event === 'disconnect')).toBe(false);
  });

  test('turn switches while everything runs', async () => {
    const world = await startSandboxWorld();
    const agent = await world.agent();
    const sent = {
      op: 'switch',
      reservations: true,
      graceMs: 1_000,
      endpointsPerSession: 0,
      revoke: 'next-bind',
    };
    expect((await world.fault(sent)).status).toBe(200);
    await expect(bind(agent, 'x.edge.test')).rejects.toThrow('ERR_NGROK_319');
    expect(world.sandbox.edge.settings).toMatchObject({ graceMs: 1_000, endpointsPerSession: 0 });
    expect(world.sandbox.accounts.switches).toMatchObject({ revoke: 'next-bind', disable: 'at-once' });
    expect(await get(world, '/refusals')).toMatchObject({ refusals: [{ code: 'ERR_NGROK_319' }] });
  });
});

test.each([
  ['nothing', ''],
  ['no JSON', '{'],
  ['a list', []],
  ['no operation', {}],
  ['an unknown operation', { op: 'explode' }],
  ['an inherited name', { op: 'constructor' }],
  ['an operation that is no text', { op: 1 }],
  ['no way to drop', { op: 'drop' }],
  ['another way to drop', { op: 'drop', how: 'softly' }],
  ['no state', { op: 'refuse' }],
  ['a state that is no boolean', { op: 'silence', on: 'true' }],
  ['a negative delay', { op: 'delay', ms: -1 }],
  ['a delay that is no number', { op: 'delay', ms: '250' }],
  ['a delay beyond all timers', { op: 'delay', ms: 1e12 }],
  ['no token to revoke', { op: 'revoke' }],
  ['a token that never was one', { op: 'revoke', authtoken: 'typo' }],
  ['an empty token', { op: 'token', authtoken: '' }],
  ['a token over two lines', { op: 'token', authtoken: 'a\nb' }],
  ['an ACL that is no list', { op: 'token', authtoken: 'a', acl: 'bind:*' }],
  ['an ACL with a bad rule', { op: 'token', authtoken: 'a', acl: ['bind:https://a'] }],
  ['half a session', { op: 'token', authtoken: 'a', maxSessions: 0.5 }],
  ['an empty account', { op: 'token', authtoken: 'a', account: '' }],
  ['a broker in between', { op: 'broker', on: null }],
  ['an argument too many', { op: 'drop', how: 'fin', when: 'now' }],
  ['a session that is not there', { op: 'cut', sessionId: 'ts_1' }],
  ['an unknown switch', { op: 'switch', colour: 'red' }],
])('answers %s with 400 and a sentence, and changes nothing', async (_what, body) => {
  const world = await startSandboxWorld();
  const before = JSON.stringify([world.sandbox.edge.settings, world.sandbox.accounts.switches]);
  const reply = await world.fault(body);
  expect(reply.status).toBe(400);
  expect(Object.keys(reply.body)).toEqual(['error']);
  expect(reply.body['error']).toMatch(/\w+ \w+/);
  expect(JSON.stringify([world.sandbox.edge.settings, world.sandbox.accounts.switches])).toBe(before);
  expect(world.sandbox.accounts.credentials('A')).toHaveLength(1);
  expect(world.sandbox.broker.isOn).toBe(true);
});

test('answers other paths and methods with a sentence', async () => {
  const world = await startSandboxWorld();
  const { url } = world.sandbox.control;
  for (const [path, method, status] of [
    ['/nothing', 'GET', 404],
    ['/faults', 'GET', 405],
    ['/state', 'POST', 405],
    ['/constructor', 'GET', 404],
  ] as const) {
    const response = await fetch(`${url}${path}`, { method });
    expect([path, response.status]).toEqual([path, status]);
    expect(await response.json()).toEqual({ error: expect.any(String) });
  }
});
