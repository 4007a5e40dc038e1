import { once } from 'node:events';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createCertificateAuthority } from '../../src/sandbox/certificates.ts';
import { FRAME_TYPE } from '../../src/sandbox/edge/frame.ts';
import { startEdgeWorld, TOKEN } from '../support/edge-world.ts';
import { RawAgent } from '../support/raw-agent.ts';
import type { SdkRefusal } from '../support/sdk-agent.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

/** Ids that an agent gives its first streams. */
const HEARTBEAT_STREAM = 3;
const AUTH_STREAM = 5;

const refusal = async (attempt: Promise<unknown>): Promise<SdkRefusal> => {
  const outcome = await attempt.then(
    () => null,
    (error: SdkRefusal) => error,
  );
  if (outcome === null) throw new Error('was not refused');
  return outcome;
};

test('1: the SDK connects by name and by address, with the authority as bytes and as a file', async () => {
  const world = await startEdgeWorld();
  const caFile = join(await tempDir(), 'ca.pem');
  await world.authority.writeTo(caFile);
  const agent = await world.agent();
  const byAddress = world.edge.addr.replace('localhost', '127.0.0.1');
  const trust = [{ caPem: world.authority.cert }, { rootCas: caFile }];
  for (const [index, ask] of trust.entries()) {
    for (const serverAddr of [world.edge.addr, byAddress]) {
      await agent.connect({ serverAddr, authtoken: TOKEN, session: `${index} ${serverAddr}`, ...ask });
    }
  }
  expect(world.edge.sessions.size).toBe(4);
});

test('1: a stranger authority is refused by the SDK, and the edge lives on', async () => {
  const world = await startEdgeWorld();
  const stranger = await createCertificateAuthority(systemClock.wall());
  const agent = await world.agent();
  const failed = await refusal(
    agent.connect({ serverAddr: world.edge.addr, caPem: stranger.cert, authtoken: TOKEN }),
  );
  expect(failed.message).toContain('tls handshake error');
  await agent.connect({ serverAddr: world.edge.addr, caPem: world.authority.cert, authtoken: TOKEN });
  expect(world.edge.sessions.size).toBe(1);
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)('1: the agent port speaks %s', async (version) => {
  const world = await startEdgeWorld();
  const agent = await RawAgent.dial(world, { minVersion: version, maxVersion: version });
  expect(agent.socket.getProtocol()).toBe(version);
  expect(await agent.auth()).toMatchObject({ Version: '3' });
});

test('8: the session has the id that the agent was told', async () => {
  const world = await startEdgeWorld();
  const agent = await world.connected();
  const [id] = [...world.edge.sessions.keys()];
  expect(id).toMatch(/^ts_[0-9A-Za-z]{27}$/);
  const created = await waitFor(() =>
    agent.events.find((seen) => String(seen['text']).includes('Session created')),
  );
  expect(created['text']).toContain(id);
});

test('what an agent tells about itself is kept with its session', async () => {
  const world = await startEdgeWorld();
  await world.connected({ metadata: 'press 7', client: ['lockkeeper', '1.2.3', 'box 7'], handlers: true });
  const [session] = [...world.edge.sessions.values()];
  expect(session).toMatchObject({
    metadata: 'press 7',
    agentVersion: '1.2.3',
    os: 'linux',
    unsupported: { stop: '', restart: '', update: '' },
  });
  expect(session?.clientInfo).toContain('lockkeeper/1.2.3 (box 7)');
  expect(session?.remoteAddr).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(session?.credential.name).toBe('default');
});

test('9, 10: bad tokens, empty ones and too many sessions are refused with their codes', async () => {
  const world = await startEdgeWorld();
  world.accounts.setToken('one only', { maxSessions: 1 });
  const agent = await world.agent();
  const attempt = (authtoken: string): Promise<void> =>
    agent.connect({ serverAddr: world.edge.addr, caPem: world.authority.cert, authtoken });

  const malformed = await refusal(attempt('not a token'));
  expect(malformed.errorCode).toBe('ERR_NGROK_105');
  // The real edge quotes the token in this text, on a line of its own; so does this one.
  expect(malformed.message).toContain('\nYour authtoken: not a token');
  expect((await refusal(attempt(`${'a'.repeat(27)}_${'b'.repeat(21)}`))).errorCode).toBe('ERR_NGROK_107');
  expect((await refusal(attempt(''))).errorCode).toBe('ERR_NGROK_4018');
  await attempt('one only');
  expect((await refusal(attempt('one only'))).errorCode).toBe('ERR_NGROK_108');
  expect(world.edge.sessions.size).toBe(1);
});

test('agents can be refused by their version', async () => {
  const world = await startEdgeWorld();
  const agent = await world.agent();
  const ask = { serverAddr: world.edge.addr, caPem: world.authority.cert, authtoken: TOKEN };
  world.edge.settings.refuseAgent = ({ version }) =>
    version === '1.7.0' ? { code: 'ERR_NGROK_121', message: 'Your agent is too old.' } : null;
  expect((await refusal(agent.connect(ask))).errorCode).toBe('ERR_NGROK_121');
  await agent.connect({ ...ask, client: ['other', '2.0.0', ''] });
});

test('a revoked credential loses its live sessions at once, and its agent is refused with 107', async () => {
  const world = await startEdgeWorld();
  world.accounts.setToken('to be revoked');
  const other = await world.connected();
  const agent = await world.connected({ authtoken: 'to be revoked' });
  const refused: string[] = [];
  world.edge.events.on('auth-refused', ({ code }) => refused.push(code));
  world.accounts.revokeToken('to be revoked', 'at-once');
  await agent.event('disconnect');
  await waitFor(() => refused.includes('ERR_NGROK_107'));
  expect(world.edge.sessions.size).toBe(1);
  expect(other.events.some(({ event }) => event === 'disconnect')).toBe(false);
});

test('6, 11: every RPC is answered with one JSON object and an end, and refused before Auth', async () => {
  const world = await startEdgeWorld();
  const agent = await RawAgent.dial(world);
  for (const type of [1, 2, 7, 77]) {
    expect(await agent.rpc(type, '{"Id":"","Proto":"https"}')).toHaveProperty('Error');
  }
  expect(await agent.auth()).toMatchObject({ Version: '3' });
  expect(await agent.rpc(0, agent.authText())).toHaveProperty('Error');
  expect(await agent.rpc(2, '{"Id":"ep_nobody"}')).toEqual({});
  expect(await agent.rpc(1, '{"Id":"","Proto":""}')).toMatchObject({
    Error: expect.stringMatching(/\r\nERR_NGROK_394\r\n$/),
  });
  expect(await agent.rpc(7, '{"Labels":{"edge":"x"}}')).toHaveProperty('Error');
  expect(await agent.rpc(2, 'nonsense')).toHaveProperty('Error');
  expect(world.bugs).toEqual([]);
});

test('7: an Auth that comes in many frames of a few bytes is accepted', async () => {
  const world = await startEdgeWorld();
  const agent = await RawAgent.dial(world);
  expect(await agent.auth(3)).toMatchObject({ Version: '3', ClientId: expect.stringMatching(/^ts_/) });
});

test('the first beat is echoed before the Auth answer, though the Auth came first', async () => {
  const world = await startEdgeWorld();
  const agent = await RawAgent.dial(world);
  const opened = once(world.edge.events, 'session-opened');
  const answer = agent.rpc(0, agent.authText());
  await opened;
  await Promise.all([answer, agent.beat()]);
  const streams = agent.frames.filter(({ type }) => type === FRAME_TYPE.data).map(({ streamId }) => streamId);
  expect(streams).toEqual([HEARTBEAT_STREAM, AUTH_STREAM, AUTH_STREAM]);
});

test('a connection that never authenticates is cut', async () => {
  const world = await startEdgeWorld({ authDeadlineMs: 200 });
  const agent = await RawAgent.dial(world);
  await agent.closed;
  const { port } = new URL(`tcp://${world.edge.addr}`);
  const mute = tlsConnect({ port: Number(port), host: '127.0.0.1', ca: world.authority.cert });
  await new Promise((resolve) => mute.once('close', resolve));
});
