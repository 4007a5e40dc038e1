import { connectAsync } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createFleetLink } from '../../src/fleet/fleet-link.ts';
import { openFleetView } from '../../src/fleet/watch/fleet-view.ts';
import { missingLeaves } from '../../src/fleet/watch/seen.ts';
import { startApiProxy } from '../support/api-proxy.ts';
import { hello, presence, reported } from '../support/fleet-messages.ts';
import { startFleetWorld, TENANT } from '../support/fleet-world.ts';
import { addSession, dropSessions } from '../support/made-up-sessions.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { makeOperator } from '../support/operator.ts';

interface StatusJson {
  readonly total: number;
  readonly sources: { readonly api: boolean };
  readonly counts: Readonly<Record<string, number>>;
  readonly alarming: readonly string[];
  readonly devices: readonly {
    readonly device: string;
    readonly state: string;
    readonly sessions: readonly unknown[];
    readonly credentials: readonly { readonly id: string; readonly gen: number }[];
    readonly conditions: readonly { readonly code: string }[];
  }[];
}

const fleetOf = async () => {
  const fleet = await startFleetWorld();
  onTestFinished(async () => {
    dropSessions(fleet.sandbox);
    await fleet.close();
  });
  const proxy = await startApiProxy(fleet.sandbox.api.url);
  const operator = await makeOperator(fleet.sandbox.line.broker.url, 'broker', {
    url: proxy.url,
    key: fleet.sandbox.api.key,
  });
  const status = async (...args: string[]) => {
    const { code, body } = await operator.json(['fleet', 'status', ...args]);
    return { code, body: body as unknown as StatusJson };
  };
  return { fleet, proxy, operator, status };
};

test('one hundred, two hundred and two hundred and fifty devices are shown, all of them; of a list that breaks nothing', async () => {
  const { fleet, proxy, operator, status } = await fleetOf();
  const more = async (count: number, name: string): Promise<void> => {
    for (const device of await fleet.enroll(count, { name }))
      addSession(fleet.sandbox, { credential: device.credentialId, device: device.id });
  };
  for (const [total, added] of [
    [100, 100],
    [200, 100],
    [250, 50],
  ] as const) {
    await more(added, `dev${total}`);
    const { code, body } = await status();
    expect([code, body.total, body.devices.length]).toEqual([0, total, total]);
    expect(
      body.devices.filter(({ sessions, credentials }) => sessions.length === 1 && credentials.length === 1),
    ).toHaveLength(total);
    expect(body.counts).toEqual({ online: total, offline: 0, stuck: 0, unknown: 0 });
  }
  expect(proxy.paths.some((path) => path.startsWith('/tunnel_sessions') && path.includes('before_id'))).toBe(
    true,
  );

  proxy.failing = (path) => path.startsWith('/tunnel_sessions') && path.includes('before_id');
  const table = await operator.run(['fleet', 'status']);
  expect([table.code, table.stdout]).toEqual([1, '']);
  expect(table.stderr).toContain('API_UNAVAILABLE');
  const broken = await operator.json(['fleet', 'status']);
  expect([broken.code, broken.body['code'], broken.body['devices']]).toEqual([
    1,
    'API_UNAVAILABLE',
    undefined,
  ]);
});

test('what is wrong is named, and one table shows it', async () => {
  const { fleet, operator, status } = await fleetOf();
  const [good, off, cloned, open] = await fleet.enroll(4);
  if (good === undefined || off === undefined || cloned === undefined || open === undefined)
    throw new Error('too few devices');
  for (const { id, credentialId } of [good, cloned, open])
    addSession(fleet.sandbox, { credential: credentialId, device: id, host: `${id}.edge.test` });
  addSession(fleet.sandbox, {
    credential: cloned.credentialId,
    device: cloned.id,
    host: `${cloned.id}.edge.test`,
  });
  off.isOnline = false;
  await fleet.swarm.publish(off);
  const widened = await fleet.api.credentials.update(open.credentialId, { acl: [] });
  if (!widened.ok) throw new Error(widened.fault.message);

  const { code, body } = await status();
  expect([code, body.alarming]).toEqual([0, [off.id]]);
  expect(
    Object.fromEntries(
      body.devices.map(({ device, conditions }) => [
        device,
        conditions.map((c) => c.code).filter((one) => one !== 'UNSIGNED'),
      ]),
    ),
  ).toEqual({
    [good.id]: [],
    [off.id]: ['OFFLINE'],
    [cloned.id]: ['TOKEN_SHARED', 'STRAY_POOL_MEMBER'],
    [open.id]: ['TOKEN_UNRESTRICTED'],
  });
  const { stdout } = await operator.run(['fleet', 'status', '--problems']);
  expect(stdout).toMatch(new RegExp(`^${cloned.id} .* TOKEN_SHARED \\(\\+2\\): `, 'm'));
  expect(stdout).toContain('4 device(s): 3 online, 1 offline');
});

test('without an API key it shows what MQTT knows, and says so; a key that cannot be read is an error', async () => {
  const fleet = await startFleetWorld();
  onTestFinished(() => fleet.close());
  await fleet.enroll(2);
  const operator = await makeOperator(fleet.sandbox.line.broker.url, 'broker');
  const plain = await operator.run(['fleet', 'status'], { env: { NGROK_API_KEY: '' } });
  expect([plain.code, plain.stderr.includes('There is no API key')]).toEqual([0, true]);
  expect(plain.stdout).toContain('2 device(s): 2 online');
  const { body } = await operator.json(['fleet', 'status'], { env: { NGROK_API_KEY: '' } });
  expect(body).toMatchObject({ total: 2, sources: { mqtt: true, api: false } });
  const lost = await operator.run(['fleet', 'status', '--api-key-file', '/nowhere/key']);
  expect([lost.code, lost.stdout]).toEqual([64, '']);
});

test('a broker that cuts long rows of stored messages short hides no device that is known', async () => {
  // Its queue is far shorter than the fleet is large.
  const broker = await startMosquitto({ extra: ['max_queued_messages 40', 'max_inflight_messages 20'] });
  const publisher = await connectAsync(broker.url, { protocolVersion: 4 });
  onTestFinished(() => publisher.endAsync(true));
  const names = Array.from({ length: 200 }, (_, i) => `dev-${String(i).padStart(4, '0')}`);
  const padded = {
    ...reported(),
    endpoints: Array.from({ length: 8 }, (_, i) => ({
      name: `e${i}`,
      state: 'up',
      url: `https://${'x'.repeat(200)}.edge.test`,
    })),
  };
  const publishAll = names.map(async (device) => {
    const put = (leaf: string, body: object) =>
      publisher.publishAsync(`lk1/${TENANT}/d/${device}/${leaf}`, JSON.stringify(body), {
        qos: 1,
        retain: true,
      });
    await Promise.all([put('presence', presence()), put('hello', hello), put('reported', padded)]);
  });
  await Promise.all(publishAll);
  // What a plain subscriber gets.
  const cut = new Set<string>();
  const plain = await connectAsync(broker.url, { protocolVersion: 4 });
  onTestFinished(() => plain.endAsync(true));
  plain.on('message', (topic) => cut.add(topic));
  await plain.subscribeAsync(`lk1/${TENANT}/d/+/reported`, { qos: 1 });
  expect(cut.size).toBeLessThan(names.length);
  const link = createFleetLink({
    tenant: TENANT,
    mqtt: {
      url: broker.url,
      username: '',
      passwordFile: '',
      caFile: '',
      certFile: '',
      keyFile: '',
      alpn: '',
      protocol: 'auto',
      keepAliveS: 60,
    },
  });
  onTestFinished(() => link.close());
  await link.ready(10_000);
  const view = await openFleetView(link, systemClock, { isLive: false, known: [...names, 'never-seen'] });
  expect(view.devices().size).toBe(names.length);
  expect([...view.devices().values()].filter((seen) => missingLeaves(seen).length > 0)).toEqual([]);
});
