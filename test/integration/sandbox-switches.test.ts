/** The API and the edge as one service, seen through the real SDK: what nobody documents is tried both ways. */
import { describe, expect, test } from 'vitest';
import { WHENS } from '../../src/sandbox/api/switches.ts';
import { type SandboxWorld, startSandboxWorld } from '../support/sandbox-world.ts';
import type { BindAsk, SdkAgent } from '../support/sdk-agent.ts';
import { waitFor } from '../support/wait-for.ts';

const code = (number: number) => ({ error_code: `ERR_NGROK_${number}` });
/** The SDK names the code in the text only when it forwards by itself. */
const refusedWith = (number: number): RegExp => new RegExp(`ERR_NGROK_${number}$`);
const UPSTREAM = 'http://127.0.0.1:9';

/** Binds `host`; named after it. */
const bind = (agent: SdkAgent, host: string, ...calls: NonNullable<BindAsk['calls']>) =>
  agent.bind({ name: host, proto: 'http', calls: [['domain', host], ...calls], to: UPSTREAM });

const bindTcp = (agent: SdkAgent, address: string) =>
  agent.bind({ name: address, proto: 'tcp', calls: [['remoteAddr', address]], to: 'tcp://127.0.0.1:9' });

/** A credential of a service user, and an agent that uses it. */
const connectedUser = async (world: SandboxWorld) => {
  const user = await world.api('POST', 'service_users', { name: 'site/dev' });
  const owner_id = String(user.body['id']);
  const { body } = await world.api('POST', 'credentials', { owner_id });
  const authtoken = String(body['token']);
  const agent = await world.agent({ authtoken });
  return {
    agent,
    authtoken,
    user: `service_users/${owner_id}`,
    credential: `credentials/${String(body['id'])}`,
  };
};

describe.each(WHENS)('when an end is felt %s', (when) => {
  const isCut = when === 'at-once';
  const bindsOn = when === 'next-connect';

  const expectEnd = async (world: SandboxWorld, agent: SdkAgent, authtoken: string): Promise<void> => {
    if (isCut) await agent.event('disconnect');
    else if (bindsOn) await bind(agent, 'after.edge.test');
    else await expect(bind(agent, 'after.edge.test')).rejects.toThrow(refusedWith(300));
    expect(world.sandbox.state().sessions).toHaveLength(isCut ? 0 : 1);
    const hosts = world.sandbox.state().endpoints.map(({ url }) => new URL(url).hostname);
    expect(hosts).toEqual([...(isCut ? [] : ['before.edge.test']), ...(bindsOn ? ['after.edge.test'] : [])]);
    const other = await world.idleAgent();
    const { addr } = world.sandbox.edge;
    const attempt = other.connect({ serverAddr: addr, rootCas: world.sandbox.line.caFile, authtoken });
    await expect(attempt).rejects.toThrow(refusedWith(107));
  };

  test('a deleted credential ends its sessions so, and no other', async () => {
    const world = await startSandboxWorld({ switches: { revoke: when } });
    const { agent, authtoken, credential } = await connectedUser(world);
    await bind(agent, 'before.edge.test');
    await world.api('DELETE', credential);
    await expectEnd(world, agent, authtoken);
  });

  test('a disabled service user ends them so, until it is enabled again', async () => {
    const world = await startSandboxWorld({ switches: { disable: when } });
    const { agent, authtoken, user } = await connectedUser(world);
    await bind(agent, 'before.edge.test');
    await world.api('PATCH', user, { active: false });
    await expectEnd(world, agent, authtoken);
    await world.api('PATCH', user, { active: true });
    await world.agent({ authtoken });
  });
});

describe('a narrower ACL', () => {
  test('ends what it no longer covers when it acts now', async () => {
    const world = await startSandboxWorld({ switches: { aclPatch: 'now' } });
    const { agent, credential } = await connectedUser(world);
    await bind(agent, 'stays.edge.test');
    await bind(agent, 'goes.edge.test');
    await world.api('PATCH', credential, { acl: ['bind:stays.edge.test'] });
    const joined = await agent.event('joined');
    expect(joined).toMatchObject({ name: 'goes.edge.test', error: expect.stringContaining('ERR_NGROK_316') });
    await waitFor(() => world.sandbox.state().endpoints.length === 1);
  });

  test('is felt at the next bind otherwise', async () => {
    const world = await startSandboxWorld();
    const { agent, credential } = await connectedUser(world);
    await bind(agent, 'one.edge.test');
    await world.api('PATCH', credential, { acl: ['bind:two.edge.test'] });
    await expect(bind(agent, 'three.edge.test')).rejects.toThrow(refusedWith(316));
    await bind(agent, 'two.edge.test');
    expect(world.sandbox.state().endpoints).toHaveLength(2);
  });
});

describe('reservations', () => {
  test('are asked for when they are switched on', async () => {
    const world = await startSandboxWorld({ switches: { reservations: true } });
    const { sandbox, api } = world;
    const agent = await world.agent();
    await expect(bind(agent, 'x.edge.test')).rejects.toThrow(refusedWith(319));
    await expect(bind(agent, '*.edge.test')).rejects.toThrow(refusedWith(318));
    await expect(bindTcp(agent, '1.tcp.edge.test:20001')).rejects.toThrow(refusedWith(307));
    await api('POST', 'reserved_domains', { domain: '*.edge.test' });
    await bind(agent, 'x.edge.test');
    await bind(agent, '*.edge.test');
    await agent.bind({ name: 'random', proto: 'http', to: UPSTREAM });

    const { key } = sandbox.api.keys.add({ account: 'B' });
    await api('POST', 'reserved_domains', { domain: 'b.example.com' }, { key });
    await expect(bind(agent, 'b.example.com')).rejects.toThrow(refusedWith(320));
    const foreign = await api('POST', 'reserved_addrs', {}, { key });
    await expect(bindTcp(agent, String(foreign.body['addr']))).rejects.toThrow(refusedWith(309));
  });

  test('are not asked for otherwise', async () => {
    const world = await startSandboxWorld();
    await bind(await world.agent(), 'x.edge.test');
    expect(world.sandbox.state().endpoints).toHaveLength(1);
  });
});

describe('the endpoints of a session that was lost', () => {
  test('hold their URL for the time of grace', async () => {
    const world = await startSandboxWorld({ edge: { graceMs: 600_000 } });
    const lost = await world.agent();
    await bind(lost, 'x.edge.test');
    await lost.kill();
    await waitFor(() => world.sandbox.state().sessions.length === 0);
    await expect(bind(await world.agent(), 'x.edge.test')).rejects.toThrow(refusedWith(334));
  });

  test('are free at once without grace', async () => {
    const world = await startSandboxWorld();
    const lost = await world.agent();
    await bind(lost, 'x.edge.test');
    await lost.kill();
    await waitFor(() => world.sandbox.state().sessions.length === 0);
    await bind(await world.agent(), 'x.edge.test');
  });
});

describe('endpoints of agents', () => {
  test('are shown beside cloud endpoints and changed by nobody', async () => {
    const world = await startSandboxWorld();
    const { agent, credential } = await connectedUser(world);
    const bound = await bind(agent, 'x.edge.test', ['metadata', 'm'], ['poolingEnabled', true]);
    await world.api('POST', 'endpoints', { type: 'cloud', url: 'https://cloud.edge.test' });
    const list = await world.api('GET', 'endpoints');
    expect(list.body['endpoints']).toMatchObject([
      { type: 'cloud', url: 'https://cloud.edge.test' },
      {
        id: bound.id,
        type: 'ephemeral',
        url: bound.url,
        host: 'x.edge.test',
        bindings: ['public'],
        pooling_enabled: true,
        metadata: 'm',
        principal: { id: expect.stringMatching(/^service_/) },
        tunnel_session: { id: expect.stringMatching(/^ts_/) },
      },
    ]);
    const filter = encodeURIComponent('obj.type == "ephemeral" && obj.binding == "public"');
    expect((await world.api('GET', `endpoints?filter=${filter}`)).body['endpoints']).toHaveLength(1);
    expect((await world.api('DELETE', `endpoints/${bound.id}`)).status).toBe(400);
    expect((await world.api('PATCH', `endpoints/${bound.id}`, { metadata: 'n' })).status).toBe(400);

    const sessions = (await world.api('GET', 'tunnel_sessions')).body['tunnel_sessions'];
    expect(sessions).toMatchObject([{ credential: { id: credential.split('/')[1] }, ip: '127.0.0.1' }]);
  });

  test('and cloud endpoints do not share a URL unless all are pooled', async () => {
    const world = await startSandboxWorld();
    const agent = await world.agent();
    await bind(agent, 'agent.edge.test');
    const cloud = (host: string, pooling_enabled: boolean) =>
      world.api('POST', 'endpoints', { type: 'cloud', url: `https://${host}`, pooling_enabled });
    expect(await cloud('agent.edge.test', true)).toMatchObject({ body: code(18_016) });
    expect(await cloud('agent.edge.test', false)).toMatchObject({ body: code(18_017) });
    await cloud('cloud.edge.test', false);
    await expect(bind(agent, 'cloud.edge.test')).rejects.toThrow(refusedWith(334));
    await cloud('pool.edge.test', true);
    await bind(agent, 'pool.edge.test', ['poolingEnabled', true]);
  });
});

describe('commands to a session', () => {
  const idOf = (world: SandboxWorld): string => world.sandbox.state().sessions[0]?.id ?? '';

  test('reach the handlers of its agent', async () => {
    const world = await startSandboxWorld();
    const agent = await world.agent({ handlers: true });
    for (const op of ['stop', 'restart', 'update']) {
      expect(await world.api('POST', `tunnel_sessions/${idOf(world)}/${op}`, {})).toEqual({
        status: 204,
        body: {},
      });
      await agent.event(op);
    }
  });

  test('are refused for an agent without handlers, and unknown sessions are not found', async () => {
    const world = await startSandboxWorld();
    await world.agent();
    const id = idOf(world);
    expect(await world.api('POST', `tunnel_sessions/${id}/stop`, {})).toMatchObject({
      status: 400,
      body: code(805),
    });
    expect(await world.api('POST', `tunnel_sessions/${id}/restart`, {})).toMatchObject({ body: code(804) });
    expect(await world.api('POST', `tunnel_sessions/${id}/update`, {})).toMatchObject({ body: code(806) });
    expect((await world.api('POST', `tunnel_sessions/ts_${'0'.repeat(27)}/stop`, {})).status).toBe(404);
    const { key } = world.sandbox.api.keys.add({ account: 'B' });
    expect((await world.api('POST', `tunnel_sessions/${id}/stop`, {}, { key })).status).toBe(404);
  });

  test('that get no answer may or may not have been carried out', async () => {
    const world = await startSandboxWorld({ edge: { commandDeadlineMs: 50 } });
    await world.agent({ handlers: true });
    await world.fault({ op: 'silence', on: true });
    const reply = await world.api('POST', `tunnel_sessions/${idOf(world)}/stop`, {});
    expect(reply).toMatchObject({ status: 502, body: code(810) });
  });
});

test('starts and stops of sessions are recorded as events', async () => {
  const world = await startSandboxWorld();
  const agent = await world.agent({ metadata: '{"device":"d"}' });
  await agent.kill();
  const events = await waitFor(() => {
    const { list } = world.sandbox.api.events;
    return list.length === 2 && list;
  });
  expect(events).toMatchObject([
    { event_type: 'agent_session_start.v0', object: { metadata: '{"device":"d"}', agent_ip: '127.0.0.1' } },
    { event_type: 'agent_session_stop.v0', object: { error: expect.any(String) } },
  ]);
});
