import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { type Device, type StatusSeen, startDevice, stateOf } from '../support/device.ts';
import { freePort } from '../support/free-port.ts';
import { waitFor } from '../support/wait-for.ts';

const FIRST = 'planted-first-token-0123456789';
const SECOND = 'planted-second-token-0123456789';
const THIRD = 'planted-third-token-0123456789';
const REFUSED = 'planted-refused-token-0123456789';
/** Sent in clear by mistake, in a command that is refused. */
const BARE = 'planted-bare-token-0123456789';
const PASSWORD = 'planted-broker-password-0123456789';
const SECRETS = [FIRST, SECOND, THIRD, REFUSED, BARE, PASSWORD];

const ON = { proto: 'http', upstream: 'hmi', url: 'https://device-1.edge.test', on: true };

interface Leak {
  readonly secret: string;
  readonly place: string;
}

/** Remembers where secrets were seen; looks at every process of the machine each time it is asked. */
const startWatch = () => {
  const leaks: Leak[] = [];
  let looked = 0;
  const note = (place: string, text: string): void => {
    looked += 1;
    for (const secret of SECRETS) if (text.includes(secret)) leaks.push({ secret, place });
  };
  const processes = async (): Promise<void> => {
    for (const pid of await readdir('/proc')) {
      if (!/^\d+$/.test(pid)) continue;
      for (const name of ['cmdline', 'environ'])
        note(`${name} of ${pid}`, await readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => ''));
    }
  };
  return { note, processes, leaks: () => leaks, looked: () => looked };
};

/** Everything on the broker, not only this device's topics. */
const hearAll = async (url: string, note: (place: string, text: string) => void): Promise<void> => {
  const client = await connectAsync(url, { protocolVersion: 4, reconnectPeriod: 100, clientId: 'all-ears' });
  onTestFinished(() => client.endAsync(true));
  client.on('error', () => undefined);
  client.on('message', (topic, payload) => {
    // The test's own command in clear comes back too.
    // Commands and documents are the sender's own words.
    if (!topic.includes('/cmd/') && !topic.endsWith('/desired')) note(topic, payload.toString('latin1'));
  });
  await client.subscribeAsync('#', { qos: 1 });
};

const filesUnder = async (dir: string): Promise<readonly string[]> => {
  const all = await readdir(dir, { recursive: true, withFileTypes: true });
  return all.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
};

const isUp = (device: Device, what: string): Promise<StatusSeen> =>
  device.until((s) => s.link.state === 'connected' && stateOf(s) === 'up', what, 60_000);

/** Every verb, each fault of edge, broker, processes and upstream. */
const steps: Readonly<Record<string, (device: Device) => Promise<unknown>>> = {
  'a token is refused': async ({ cloud }) =>
    expect(await cloud.rekey(REFUSED, 2)).toMatchObject({ status: 'failed' }),
  'a token is taken': async ({ cloud, fault }) => {
    await fault({ op: 'token', authtoken: SECOND });
    expect(await cloud.rekey(SECOND, 3)).toMatchObject({ status: 'succeeded' });
  },
  'tokens come in clear, sealed for nobody, too late': async ({ cloud }) => {
    const bad = [{ authtoken: BARE }, { sealed: 'eyJhbGciOiJub25lIn0.a.b.c.d' }, { sealed: BARE }];
    for (const args of bad)
      expect((await cloud.command('rekey', { args: { gen: 4, ...args } })).status).not.toBe('succeeded');
    const late = { gen: 4, sealed: await cloud.seal(THIRD, 4) };
    expect((await cloud.command('rekey', { args: late, iat: -600, exp: -500 })).status).toBe('expired');
  },
  'every other verb': async ({ cloud }) => {
    for (const op of ['ping', 'report', 'resync', 'restart']) await cloud.command(op);
    for (const op of ['stop', 'start', 'restart']) await cloud.command(op, { args: { ep: 'web' } });
    await cloud.command('keys', { args: { set: 'eyJhbGciOiJFZERTQSJ9.e30.c2ln' } });
    await cloud.command('cancel', { args: { id: await cloud.send('ping') } });
    await cloud.command('start', { args: { ep: 'nobody' } });
    await cloud.command('nonsense', { args: { token: BARE } });
  },
  'documents, also broken ones': async ({ cloud }) => {
    await cloud.publish(cloud.topic('desired'), `{"v":1,"authtoken":"${BARE}"`);
    await cloud.desired(1, [{ name: 'web', ...ON }]);
    await waitFor(() => cloud.reported()?.applied === 1, { what: 'the document is applied' });
  },
  'locked and unlocked': async (device) => {
    await device.post('/v1/lock');
    await device.until((s) => s.locked && stateOf(s) !== 'up', 'locked');
    expect((await device.cloud.rekey(THIRD, 4)).status).toBe('rejected');
    await device.post('/v1/unlock');
  },
  'the edge cuts, refuses, is silent': async (device) => {
    await device.fault({ op: 'drop', how: 'rst' });
    await isUp(device, 'up after a cut');
    await device.fault({ op: 'refuse', on: true });
    await device.fault({ op: 'drop', how: 'fin' });
    await device.until((s) => s.session.state !== 'connected', 'down while the edge refuses');
    await device.fault({ op: 'refuse', on: false });
    await isUp(device, 'up after refusals');
    await device.fault({ op: 'silence', on: true });
    await device.until((s) => s.session.state !== 'connected', 'down while the edge is silent', 40_000);
    await device.fault({ op: 'silence', on: false });
  },
  'the broker goes and comes': async (device) => {
    await device.fault({ op: 'broker', on: false });
    await device.until((s) => s.link.state !== 'connected', 'off line');
    await device.fault({ op: 'broker', on: true });
  },
  'the supervisor hands over': async (device) => {
    const { pid } = await device.status();
    process.kill(pid, 'SIGHUP');
    await device.until((s) => s.pid !== pid && s.link.state === 'connected', 'the successor serves');
  },
  'a debugger is asked for': async (device) => {
    const { pid, tunnels } = await device.status();
    for (const one of [pid, ...tunnels.map((t) => t.pid)]) process.kill(one, 'SIGUSR1');
    expect((await device.status()).pid).toBe(pid);
  },
  'a tunnel process is killed': async (device) => {
    for (const pid of await device.tunnelPids()) process.kill(pid, 'SIGKILL');
    await device.until((s) => stateOf(s) !== 'up', 'down').catch(() => undefined);
  },
  'the supervisor is killed': async (device) => {
    await device.kill('SIGKILL');
    device.spawn();
  },
  'a technician writes another token': async (device) => {
    await device.fault({ op: 'token', authtoken: THIRD });
    await writeFile(device.tokenFile, `${THIRD}\n`);
    const names = (): readonly string[] => device.sandbox.state().sessions.map((s) => s.authtokenName);
    await waitFor(() => names().length === 1 && !names().includes('default') && isOnThird(device), {
      what: 'the session is on the third token',
      deadlineMs: 30_000,
    });
  },
  'the token is revoked': async (device) => {
    await device.fault({ op: 'revoke', authtoken: THIRD });
    await waitFor(() => device.cloud.events().some((e) => e.type === 'cred.refused'), { deadlineMs: 30_000 });
  },
};

/** True once the vault on disk has the third token as the one in use. */
const isOnThird = async ({ stateDir }: Device): Promise<boolean> => {
  const text = await readFile(join(stateDir, 'vault.0.json'), 'utf8').catch(() => '');
  const { value } = JSON.parse(text === '' ? '{}' : text) as {
    value?: {
      current: 'a' | 'b';
      swap: unknown;
      a: { authtoken: string } | null;
      b: { authtoken: string } | null;
    };
  };
  return value?.swap === null && value[value.current]?.authtoken === THIRD;
};

test('a secret is seen in no log, argument, environment, message, status, nor file but the vault, whatever happens', async () => {
  const device = await startDevice({
    start: false,
    sandbox: {
      tokens: { default: FIRST },
      broker: { authenticate: (_user, password, id) => id !== 'device-1' || password === PASSWORD },
    },
    // What a library or Node would print of its connections.
    env: { DEBUG: '*', NODE_DEBUG: 'net,tls,http,stream,child_process' },
  });
  const { line } = device.sandbox;
  const passwordFile = join(device.dir, 'password');
  await writeFile(passwordFile, `${PASSWORD}\n`, { mode: 0o600 });
  await device.writeConfig({
    mqtt: { url: line.broker.url, username: 'device-1', passwordFile },
    ngrok: {
      authtokenFile: device.tokenFile,
      serverAddr: line.edge.addr,
      caFile: line.caFile,
      heartbeatIntervalS: 1,
      heartbeatToleranceS: 2,
    },
    upstreams: {
      hmi: { url: `http://127.0.0.1:${device.upstreamPort}` },
      gone: { url: `http://127.0.0.1:${await freePort()}` },
    },
    endpoints: [
      { name: 'web', ...ON },
      { ...ON, name: 'dead', upstream: 'gone', url: 'https://dead.edge.test' },
    ],
    drain: { deadlineS: 2 },
    log: { level: 'trace' },
  });
  const watch = startWatch();
  await hearAll(line.broker.url, watch.note);
  device.spawn();
  for (const [name, step] of Object.entries(steps)) {
    watch.note(`status before: ${name}`, JSON.stringify(await isUp(device, `up before: ${name}`)));
    expect((await device.visit()).status, name).toBe(200);
    expect((await device.visit('/', 'dead.edge.test')).status, name).toBeGreaterThanOrEqual(502);
    await step(device);
    await watch.processes();
  }
  await isUp(device, 'up at the end');
  await watch.processes();

  for (const file of await filesUnder(device.stateDir)) {
    expect((await stat(file)).mode & 0o077, `${file} is for its owner alone`).toBe(0);
    if (!/\/vault\.\d\.json$/.test(file)) watch.note(file, await readFile(file, 'latin1'));
  }
  expect((await stat(device.stateDir)).mode & 0o777).toBe(0o700);
  const log = device.log();
  watch.note('log', log);
  expect(log).toContain('DEBUG of the environment would show or write authtokens: it is not used');
  expect(log).not.toContain('Debugger listening');
  expect(log).toContain('"level":20');
  expect(watch.looked()).toBeGreaterThan(500);
  expect(watch.leaks()).toEqual([]);
}, 240_000);
