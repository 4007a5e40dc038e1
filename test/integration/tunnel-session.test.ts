import { describe, expect, test } from 'vitest';
import { bindSpec, LAB_TOKEN, tunnelLab } from '../support/tunnel-lab.ts';
import { httpUpstream } from '../support/tunnel-upstreams.ts';
import { waitFor } from '../support/wait-for.ts';

const hello = (): Promise<number> => httpUpstream((_request, response) => response.end('hello'));

test('connects, binds, serves and counts', async () => {
  const lab = await tunnelLab();
  const { tunnels, event, start } = lab.supervisor({ metadata: 'm7' });
  start();
  const connected = await event('connected');
  const [session] = [...lab.edge.sessions.values()];
  expect(session).toMatchObject({ id: connected.sessionId, metadata: 'm7' });
  expect(session?.clientInfo).toContain('lockkeeper');
  tunnels.bind('t1', bindSpec('web', { port: await hello() }, { metadata: 'em' }));
  const bound = await event('bound');
  expect(bound.url).toContain('web.edge.test');
  const [endpoint] = lab.edge.members('https', 'web.edge.test');
  expect(endpoint).toMatchObject({ id: bound.endpointId, metadata: 'em', pooled: true });
  expect(endpoint?.forwardsTo).toBe('unix:t1.1.web.relay');
  await event('serving');
  for (let n = 0; n < 3; n += 1)
    expect(await lab.get('web.edge.test')).toEqual({ status: 200, body: 'hello' });
  const counters = await event('counters', ({ endpoints }) => endpoints['web']?.requests === 3);
  expect(counters.endpoints['web']).toMatchObject({ responses: [0, 3, 0, 0, 0], inFlight: 0, refused: 0 });
  tunnels.drain('t1', 5_000);
  expect(await event('drained')).toMatchObject({ cut: [] });
  expect(await event('exited')).toMatchObject({ code: 0, stderr: '' });
  await waitFor(() => lab.edge.sessions.size === 0);
});

describe('a connect that is refused', () => {
  const refusedWith = async (
    authtoken: string,
    prepare?: (lab: Awaited<ReturnType<typeof tunnelLab>>) => void,
  ) => {
    const lab = await tunnelLab();
    prepare?.(lab);
    const { event, events, start } = lab.supervisor();
    start({ authtoken });
    const failed = await event('connect-failed');
    expect(await event('exited')).toMatchObject({ code: 69 });
    expect(JSON.stringify([events, lab.logs])).not.toContain(authtoken);
    expect(events.filter(({ type }) => type === 'lost' || type === 'connected')).toEqual([]);
    return failed.fault;
  };

  test('for a token without form says so and does not quote it', async () => {
    expect(await refusedWith('not-a-real-one')).toMatchObject({
      code: 'NGROK_AUTH_REFUSED',
      ngrokCode: 'ERR_NGROK_105',
      retryable: false,
    });
  });

  test('for an unknown token says so', async () => {
    expect(await refusedWith(`${'u'.repeat(27)}_${'v'.repeat(21)}`)).toMatchObject({
      code: 'NGROK_AUTH_REFUSED',
      ngrokCode: 'ERR_NGROK_107',
    });
  });

  test('for want of a session says that it may pass', async () => {
    expect(
      await refusedWith(LAB_TOKEN, (lab) => lab.accounts.setToken(LAB_TOKEN, { maxSessions: 0 })),
    ).toMatchObject({ code: 'NGROK_LIMIT', ngrokCode: 'ERR_NGROK_108', retryable: true });
  });
});

describe('an edge that cannot be had', () => {
  test('because it is silent ends the process at the deadline', async () => {
    const lab = await tunnelLab();
    lab.edge.faults.silence(true);
    const { event, start } = lab.supervisor();
    start({ connectDeadlineMs: 1_000 });
    expect(await event('connect-failed')).toMatchObject({ fault: { code: 'NGROK_NET', retryable: true } });
    await event('exited');
  });

  test('because nothing listens is told at once', async () => {
    const lab = await tunnelLab();
    await lab.edge.faults.refuse(true);
    const { event, start } = lab.supervisor();
    start();
    expect((await event('connect-failed')).fault.message).toContain('TCP');
    await event('exited');
  });

  test('because its certificate is not trusted is told as that', async () => {
    const lab = await tunnelLab();
    const { event, start } = lab.supervisor({ caFile: '' });
    start();
    expect((await event('connect-failed')).fault.message).toContain('TLS');
  });

  test('because its authorities are missing is a matter of configuration', async () => {
    const lab = await tunnelLab();
    const { event, start } = lab.supervisor({ caFile: `${lab.caFile}.gone` });
    start();
    expect((await event('connect-failed')).fault).toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('a bind', () => {
  test('that is refused tells the code and leaves the others alone', async () => {
    const lab = await tunnelLab();
    lab.accounts.setToken(LAB_TOKEN, { acl: ['bind:web.edge.test'] });
    const { tunnels, event, start } = lab.supervisor();
    start();
    await event('connected');
    tunnels.bind('t1', bindSpec('other', { port: 1 }));
    tunnels.bind('t1', bindSpec('web', { port: await hello() }));
    expect(await event('bind-failed')).toMatchObject({
      endpoint: 'other',
      fault: { code: 'NGROK_ACL_DENIED', ngrokCode: 'ERR_NGROK_316', retryable: false },
    });
    await event('serving', ({ endpoint }) => endpoint === 'web');
    expect(await lab.get('web.edge.test')).toMatchObject({ status: 200 });
  });

  test('without metering goes straight to the upstream, unless that has its own trust', async () => {
    const lab = await tunnelLab();
    const { tunnels, event, start } = lab.supervisor();
    start();
    await event('connected');
    const tls = { verify: true, caFile: lab.caFile };
    tunnels.bind('t1', bindSpec('own', { port: 1, tls }, { metering: 'off' }));
    expect((await event('bind-failed')).fault.code).toBe('CONFIG_INVALID');
    tunnels.bind('t1', bindSpec('web', { port: await hello() }, { metering: 'off' }));
    await event('serving');
    expect(await lab.get('web.edge.test')).toEqual({ status: 200, body: 'hello' });
  });

  test('of a random address tells which', async () => {
    const lab = await tunnelLab();
    const { tunnels, event, start } = lab.supervisor();
    start();
    await event('connected');
    tunnels.bind('t1', bindSpec('web', { port: await hello() }, { url: '' }));
    const { url } = await event('bound');
    expect(url).toMatch(/^https:\/\/.+\.edge\.test/);
    await event('serving');
    expect(await lab.get(new URL(url).hostname)).toMatchObject({ status: 200 });
  });
});

describe('a session that is lost', () => {
  const up = async () => {
    const lab = await tunnelLab();
    const supervisor = lab.supervisor();
    supervisor.start();
    await supervisor.event('connected');
    supervisor.tunnels.bind('t1', bindSpec('web', { port: await hello() }));
    await supervisor.event('serving');
    return { lab, ...supervisor };
  };

  test('and comes back quickly is reported as both', async () => {
    const { lab, event, events } = await up();
    lab.edge.faults.drop('rst');
    await event('disconnected');
    await event('reconnected');
    expect(events.map(({ type }) => type)).not.toContain('lost');
    await waitFor(() => lab.edge.members('https', 'web.edge.test').length === 1);
    expect(await lab.get('web.edge.test')).toMatchObject({ status: 200 });
  });

  test('and stays away is given up', async () => {
    const { lab, event, events } = await up();
    await lab.edge.faults.refuse(true);
    lab.edge.faults.drop('fin');
    expect(await event('lost')).toMatchObject({ reason: 'clock' });
    expect(events.map(({ type }) => type)).not.toContain('reconnected');
  });

  test('because its token was revoked is given up too', async () => {
    const { lab, event } = await up();
    lab.accounts.revokeToken(LAB_TOKEN);
    expect(await event('lost')).toMatchObject({ reason: 'clock' });
  });

  test('without a word is given up for its missing beats', async () => {
    const { lab, event } = await up();
    lab.edge.faults.silence(true);
    expect(await event('lost', undefined, 40_000)).toMatchObject({ reason: 'heartbeat' });
  });
});

test('remote commands and a stopped endpoint are reported, and the rest serves on', async () => {
  const lab = await tunnelLab();
  const { tunnels, event, start } = lab.supervisor();
  start();
  const { sessionId } = await event('connected');
  tunnels.bind('t1', bindSpec('web', { port: await hello() }));
  tunnels.bind('t1', bindSpec('api', { port: await hello() }));
  await event('serving', ({ endpoint }) => endpoint === 'api');
  const session = lab.edge.sessions.get(sessionId);
  expect(session?.unsupported).toMatchObject({ stop: '', restart: '' });
  expect(session?.unsupported.update).not.toBe('');
  expect(await session?.command('restart')).toBeNull();
  expect(await session?.command('stop')).toBeNull();
  await event('remote', ({ op }) => op === 'restart');
  await event('remote', ({ op }) => op === 'stop');
  const [member] = lab.edge.members('https', 'web.edge.test');
  lab.edge.stopEndpoint(member?.id ?? '', 'stopped by admin', 'ERR_NGROK_802');
  expect(await event('endpoint-stopped')).toMatchObject({
    endpoint: 'web',
    fault: { ngrokCode: 'ERR_NGROK_802' },
  });
  expect(await lab.get('api.edge.test')).toMatchObject({ status: 200 });
  tunnels.bind('t1', bindSpec('web', { port: await hello() }));
  await event('bound', ({ endpointId }) => endpointId !== member?.id);
});
