/**
 * Many devices in one process, each with an MQTT connection of its own: will, session, subscriptions, signed commands
 * judged as the daemon judges them, sealed tokens opened, results in the agreed order. They open no tunnel.
 *
 * Told on standard input: one JSON line {url, tenant, keysFile, first, count, healthS}. Says on standard output: one
 * line {id, kid, x} a device, then {ready}; later {taken: n} a second while tokens come.
 */
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { connectAsync, type MqttClient } from 'mqtt';
import { type DeviceKey, makeDeviceKey } from '../src/protocol/device-key.ts';
import { judgeCommand, type RecordedAnswer } from '../src/protocol/judge-command.ts';
import { openTrust, parseKeysFile } from '../src/protocol/keyset.ts';
import { unsealToken } from '../src/protocol/seal.ts';
import type { SeqWindows } from '../src/protocol/seq-window.ts';
import { tokenFingerprint } from '../src/protocol/token-fingerprint.ts';

interface Ask {
  readonly url: string;
  readonly tenant: string;
  readonly keysFile: string;
  readonly first: number;
  readonly count: number;
  readonly healthS: number;
}

const BOOT = '9f3c1a7e5b2d4c60';
/** Connections under way at a time. */
const AT_ONCE = 25;
const nowS = (): number => Math.floor(Date.now() / 1000);
const say = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};
let taken = 0;

const startDevice = async (
  ask: Ask,
  id: string,
  trust: Parameters<typeof judgeCommand>[1]['policy'],
): Promise<void> => {
  const base = `lk1/${ask.tenant}/d/${id}`;
  const key: DeviceKey = await makeDeviceKey();
  let gen = 1;
  let fp = '00000000';
  let windows: SeqWindows = {};
  const answers = new Map<string, RecordedAnswer>();
  let queue: Promise<void> = Promise.resolve();
  const client: MqttClient = await connectAsync(ask.url, {
    clientId: id,
    protocolVersion: 5,
    clean: false,
    keepalive: 120,
    reconnectPeriod: 0,
    resubscribe: false,
    connectTimeout: 60_000,
    properties: { sessionExpiryInterval: 3600, receiveMaximum: 16, maximumPacketSize: 65_536 },
    will: {
      topic: `${base}/presence`,
      payload: Buffer.from(JSON.stringify({ v: 1, online: false, boot: BOOT, n: 1, why: 'lost' })),
      qos: 1,
      retain: true,
      properties: { willDelayInterval: 30 },
    },
  });
  client.on('error', (error) => {
    say({ error: `${id}: ${error.message}` });
  });
  const send = (leaf: string, body: object, qos: 0 | 1, retain: boolean) =>
    client.publishAsync(`${base}/${leaf}`, JSON.stringify(body), { qos, retain });
  const report = () =>
    send(
      'reported',
      {
        v: 1,
        ts: nowS(),
        boot: BOOT,
        rev: 1,
        applied: 1,
        clk: 'ntp',
        cred: { gen, fp, state: 'ok' },
        session: { state: 'up', since: nowS() },
        endpoints: [
          { name: 'web', state: 'up', url: `https://${id}.edge.test`, since: nowS(), by: 'desired' },
        ],
        locked: false,
        conditions: [],
        last: [...answers.values()].slice(-8).map((answer) => [answer.id, answer.status]),
      },
      1,
      true,
    );
  const answer = async (result: RecordedAnswer): Promise<void> => {
    answers.set(result.id, result);
    await send(`res/${result.id}`, { v: 1, ...result, ts: nowS(), boot: BOOT }, 1, false);
  };
  const command = async (topic: string, payload: Buffer, retain: boolean): Promise<void> => {
    const verdict = await judgeCommand(
      { topic, payload, retain },
      {
        tenant: ask.tenant,
        device: id,
        policy: trust,
        time: { state: 'ntp', nowS: nowS() },
        boot: BOOT,
        groups: [],
        windows,
        lookup: (one) => answers.get(one),
      },
    );
    if (verdict.verdict === 'refused') return answer({ ...verdict, n: 1 });
    if (verdict.verdict !== 'accepted') return;
    windows = { ...windows, [verdict.windowKey]: verdict.nextWindow };
    const { command: asked } = verdict;
    await answer({ id: asked.id, op: asked.op, status: 'accepted', n: 1 });
    if (asked.op !== 'rekey') return answer({ id: asked.id, op: asked.op, status: 'succeeded', n: 2 });
    await answer({ id: asked.id, op: asked.op, status: 'executing', n: 2 });
    const opened = await unsealToken(asked.args.sealed, [key], { dev: id, gen: asked.args.gen });
    if (!opened.ok)
      return answer({ id: asked.id, op: asked.op, status: 'failed', n: 3, code: opened.fault.code });
    gen = asked.args.gen;
    fp = tokenFingerprint(opened.value.tok);
    taken += 1;
    await report();
    await send(
      'event/cred',
      { v: 1, ts: nowS(), boot: BOOT, n: gen, type: 'cred.swapped', data: { gen } },
      1,
      false,
    );
    return answer({
      id: asked.id,
      op: asked.op,
      status: 'succeeded',
      n: 3,
      out: { gen, served: 0, dropped: 0, drain_ms: 0, cut: 0, gap_ms: 0 },
    });
  };
  client.on('message', (topic, payload, packet) => {
    if (!topic.includes('/cmd/')) return;
    queue = queue.then(() => command(topic, payload, packet.retain));
  });
  await client.subscribeAsync({
    [`${base}/desired`]: { qos: 1, rh: 0 },
    [`${base}/cmd/+`]: { qos: 1, rh: 2, rap: true },
    [`${base}/presence`]: { qos: 1, rh: 0 },
  });
  await send('presence', { v: 1, online: true, boot: BOOT, n: 1, ts: nowS() }, 1, true);
  const { kid, crv, x } = key;
  await send(
    'hello',
    {
      v: 1,
      boot: BOOT,
      agent: '0.1.0',
      ngrok: '1.7.0',
      node: process.versions.node,
      arch: 'arm64',
      os: 'linux',
      proto: 5,
      clk: 'ntp',
      trust: 'signed',
      enc: { kid, kty: 'OKP', crv, x },
      ops: ['ping', 'start', 'stop', 'restart', 'rekey', 'report', 'cancel', 'resync', 'keys'],
      store: 'file',
    },
    1,
    true,
  );
  await report();
  say({ id, kid, x });
  let n = 0;
  const health = (): void => {
    void send(
      'health',
      {
        v: 1,
        ts: nowS(),
        boot: BOOT,
        n: n++,
        up: n * ask.healthS,
        sess: 'up',
        lat: 41,
        eps: [{ name: 'web', req: 10 * n, conn: 2, in: 1000 * n, out: 9000 * n }],
        sys: { cpu: 12, mem: 40, disk: 55, t: 48, rss: 41 },
        q: { out: 0, drop: 0 },
        clk: 'ntp',
      },
      0,
      false,
    );
  };
  setTimeout(
    () => {
      health();
      setInterval(health, ask.healthS * 1000);
    },
    Math.random() * ask.healthS * 1000,
  );
};

for await (const line of createInterface({ input: process.stdin })) {
  const ask = JSON.parse(line) as Ask;
  const file = parseKeysFile(ask.keysFile);
  if (!file.ok) throw new Error(file.message);
  const trust = await openTrust(file.value, undefined);
  if (!trust.ok) throw new Error(trust.fault.message);
  const names = Array.from(
    { length: ask.count },
    (_, i) => `dev-${String(ask.first + i).padStart(6, '0')}`,
  ).values();
  const work = async (): Promise<void> => {
    for (const id of names) await startDevice(ask, id, { mode: 'signed', trust: trust.value });
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  say({ ready: true });
  void (async () => {
    for (let told = 0; ; ) {
      await delay(1000);
      if (taken !== told) say({ taken });
      told = taken;
    }
  })();
}
process.exit(0);
