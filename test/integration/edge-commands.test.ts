import { expect, test } from 'vitest';
import type { EdgeSession } from '../../src/sandbox/contract.ts';
import { fetchOver } from '../support/direct-http.ts';
import { type EdgeWorld, startEdgeWorld } from '../support/edge-world.ts';
import { RawAgent } from '../support/raw-agent.ts';
import { pathUpstream } from '../support/upstreams.ts';
import { waitFor } from '../support/wait-for.ts';

const only = (world: EdgeWorld): EdgeSession => {
  const [session] = [...world.edge.sessions.values()];
  if (session === undefined) throw new Error('no session');
  return session;
};

const UNSUPPORTED = 'the agent has not defined a callback for this operation';

test('34: stop, restart and update reach their handlers, are answered, and the session serves on', async () => {
  const world = await startEdgeWorld();
  const upstream = await pathUpstream();
  const agent = await world.connected({ handlers: true });
  const to = `http://127.0.0.1:${upstream.port}`;
  await agent.bind({ name: 'web', proto: 'http', calls: [['domain', 'a.edge.test']], to });
  const session = only(world);
  expect(await session.command('stop')).toBeNull();
  expect(await session.command('restart')).toBeNull();
  expect(await session.command('update', { version: '9.9', permitMajor: true })).toBeNull();
  await agent.event('stop');
  await agent.event('restart');
  expect((await agent.event('update'))['update']).toEqual({ version: '9.9', permitMajorVersion: true });
  const [endpoint] = world.edge.members('https', 'a.edge.test');
  if (endpoint === undefined) throw new Error('gone');
  expect((await fetchOver(endpoint)).status).toBe(200);
});

test('34: without handlers the answer is a fixed text, which the agent announced at Auth', async () => {
  const world = await startEdgeWorld();
  await world.connected();
  const session = only(world);
  expect(session.unsupported).toEqual({ stop: UNSUPPORTED, restart: UNSUPPORTED, update: UNSUPPORTED });
  expect(await session.command('stop')).toBe(UNSUPPORTED);
  expect(await session.command('restart')).toBe(UNSUPPORTED);
  expect(await session.command('update', { version: '1', permitMajor: false })).toBe(UNSUPPORTED);
});

test('a command fails when the agent does not answer in time, and when its connection breaks', async () => {
  const world = await startEdgeWorld({ commandDeadlineMs: 200 });
  const agent = await RawAgent.dial(world);
  await agent.beat();
  await agent.auth();
  const session = only(world);
  await expect(session.command('stop')).rejects.toThrow('no answer to stop within 200 ms');
  world.edge.settings.commandDeadlineMs = 60_000;
  const pending = expect(session.command('restart')).rejects.toThrow();
  agent.socket.destroy();
  await pending;
  await waitFor(() => world.edge.sessions.size === 0);
  await expect(session.command('stop')).rejects.toThrow('the session is gone');
});

test('35: a stopped endpoint is off line at once, and its agent is told message and code and unbinds it', async () => {
  const world = await startEdgeWorld();
  const upstream = await pathUpstream();
  const agent = await world.connected();
  const to = `http://127.0.0.1:${upstream.port}`;
  const bound = await agent.bind({ name: 'web', proto: 'http', calls: [['domain', 'a.edge.test']], to });
  await agent.bind({ name: 'other', proto: 'http', calls: [['domain', 'b.edge.test']], to });
  const closed: string[] = [];
  world.edge.events.on('endpoint-closed', ({ id }, reason) => closed.push(`${id} ${reason}`));
  world.edge.stopEndpoint(bound.id, 'stopped by admin', 'ERR_NGROK_9999');
  expect(world.edge.members('https', 'a.edge.test')).toEqual([]);
  const { error, name } = await agent.event('joined');
  expect(name).toBe('web');
  expect(error).toContain('stopped by admin');
  expect(error).toContain('ERR_NGROK_9999');
  expect(closed).toEqual([`${bound.id} stopped`]);
  const [other] = world.edge.members('https', 'b.edge.test');
  if (other === undefined) throw new Error('the other one is gone too');
  expect((await fetchOver(other)).status).toBe(200);
  await agent.bind({ name: 'again', proto: 'http', calls: [['domain', 'a.edge.test']], to });
  // Nobody is harmed by an id that is gone.
  world.edge.stopEndpoint(bound.id, 'again', null);
});
