/**
 * Many devices for trying out a rotation: they speak `lk1` truly and judge commands as the daemon does, over one MQTT
 * connection, and try each token against whoever says which tokens are good. They open no session.
 */
import { connectAsync, type MqttClient } from 'mqtt';
import type { Command } from '../../src/protocol/command-schema.ts';
import { type DeviceKey, makeDeviceKey } from '../../src/protocol/device-key.ts';
import { judgeCommand, type RecordedAnswer } from '../../src/protocol/judge-command.ts';
import type { TrustPolicy } from '../../src/protocol/judge-context.ts';
import { openTrust, parseKeysFile } from '../../src/protocol/keyset.ts';
import { unsealToken } from '../../src/protocol/seal.ts';
import type { SeqWindows } from '../../src/protocol/seq-window.ts';
import { tokenFingerprint } from '../../src/protocol/token-fingerprint.ts';

const BOOT = '9f3c1a7e5b2d4c60';

export interface SwarmOptions {
  readonly url: string;
  readonly tenant: string;
  /** Text of a keys file; without it the devices are in broker mode. */
  readonly keysFile?: string;
  /** Whether ngrok takes a token. */
  readonly isGood: (token: string) => boolean;
  /** How long a device takes for a swap, in milliseconds. */
  readonly swapMs?: () => number;
}

export interface SwarmDevice {
  readonly id: string;
  readonly key: DeviceKey;
  gen: number;
  /** The token that it runs on; null before the first. */
  token: string | null;
  /** ngrok's id of it, as the fleet said. */
  credentialId: string;
  isOnline: boolean;
  isLocked: boolean;
  /** What a `rekey` comes to, when it is not what the device would do by itself. */
  ending?: 'silent' | { readonly code: string };
  rekeys: number;
}

export interface Swarm {
  readonly devices: ReadonlyMap<string, SwarmDevice>;
  /** Adds a device and publishes what a device keeps published. */
  add(
    id: string,
    token: { readonly token: string; readonly id: string; readonly gen: number },
  ): Promise<SwarmDevice>;
  /** Publishes presence and report anew. */
  publish(device: SwarmDevice): Promise<void>;
  /** Resolves when no device works on a command. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

interface Inner {
  windows: SeqWindows;
  readonly answers: Map<string, RecordedAnswer>;
  queue: Promise<void>;
}

const seconds = (): number => Math.floor(Date.now() / 1000);

const policyOf = async (keysFile: string | undefined): Promise<TrustPolicy> => {
  if (keysFile === undefined) return { mode: 'broker' };
  const file = parseKeysFile(keysFile);
  if (!file.ok) throw new Error(file.message);
  const trust = await openTrust(file.value, undefined);
  if (!trust.ok) throw new Error(trust.fault.message);
  return { mode: 'signed', trust: trust.value };
};

/** Connects; the caller closes it. */
export const startSwarm = async (options: SwarmOptions): Promise<Swarm> => {
  const { tenant } = options;
  const policy = await policyOf(options.keysFile);
  const devices = new Map<string, SwarmDevice>();
  const inners = new Map<string, Inner>();
  const client: MqttClient = await connectAsync(options.url, { protocolVersion: 4, reconnectPeriod: 100 });
  client.on('error', () => undefined);
  let isClosed = false;

  const send = async (device: string, leaf: string, body: object, retain: boolean): Promise<void> => {
    if (isClosed) return;
    await client.publishAsync(`lk1/${tenant}/d/${device}/${leaf}`, JSON.stringify(body), { qos: 1, retain });
  };
  const report = (device: SwarmDevice): Promise<void> =>
    send(
      device.id,
      'reported',
      {
        v: 1,
        ts: seconds(),
        boot: BOOT,
        rev: 0,
        cred: {
          gen: device.gen,
          ...(device.token === null ? {} : { fp: tokenFingerprint(device.token) }),
          state: device.token !== null && options.isGood(device.token) ? 'ok' : 'refused',
        },
        session: { state: 'up' },
        endpoints: [],
        locked: device.isLocked,
      },
      true,
    );
  const publish = async (device: SwarmDevice): Promise<void> => {
    await send(
      device.id,
      'presence',
      { v: 1, online: device.isOnline, boot: BOOT, n: 1, ts: seconds() },
      true,
    );
    const { kid, crv, x } = device.key;
    await send(
      device.id,
      'hello',
      {
        v: 1,
        boot: BOOT,
        agent: 'swarm',
        proto: 4,
        trust: policy.mode,
        enc: { kid, crv, x },
        ops: ['rekey'],
      },
      true,
    );
    await report(device);
  };

  const answer = async (
    device: SwarmDevice,
    inner: Inner,
    result: Omit<RecordedAnswer, 'n'> & { readonly n: number },
  ): Promise<void> => {
    inner.answers.set(result.id, result);
    await send(device.id, `res/${result.id}`, { v: 1, ...result, ts: seconds(), boot: BOOT }, false);
  };

  /** As the daemon does it: unseal, refuse what is not newer, try, commit, report, then answer. */
  const rekey = async (
    device: SwarmDevice,
    command: Command & { readonly op: 'rekey' },
  ): Promise<Pick<RecordedAnswer, 'status' | 'code' | 'msg' | 'out'> | null> => {
    device.rekeys += 1;
    const { gen, sealed } = command.args;
    const swapMs = options.swapMs?.() ?? 0;
    if (swapMs > 0)
      await new Promise((resolve) => {
        setTimeout(resolve, swapMs);
      });
    const held = { gen: device.gen };
    const failed = (code: string, msg: string) => ({ status: 'failed' as const, code, msg, out: held });
    if (device.ending === 'silent') return null;
    if (device.ending !== undefined) return failed(device.ending.code, 'as told by the test');
    const opened = await unsealToken(sealed, [device.key], { dev: device.id, gen });
    if (!opened.ok) return failed(opened.fault.code, opened.fault.message);
    const { tok, cid } = opened.value;
    if (gen === device.gen && tok === device.token) return { status: 'succeeded', out: { gen, noop: true } };
    if (gen <= device.gen)
      return { status: 'rejected', code: 'GEN_STALE', msg: `holds generation ${device.gen}`, out: held };
    if (!options.isGood(tok)) return failed('NGROK_AUTH_REFUSED', 'ngrok refuses the token');
    Object.assign(device, { gen, token: tok, credentialId: cid });
    await report(device);
    return { status: 'succeeded', out: { gen, served: 0, dropped: 0 } };
  };

  const onCommand = async (
    device: SwarmDevice,
    inner: Inner,
    topic: string,
    payload: Buffer,
    retain: boolean,
  ) => {
    if (!device.isOnline || isClosed) return;
    const verdict = await judgeCommand(
      { topic, payload, retain },
      {
        tenant,
        device: device.id,
        policy,
        time: { state: 'ntp', nowS: seconds() },
        boot: BOOT,
        groups: [],
        windows: inner.windows,
        lookup: (id) => inner.answers.get(id),
      },
    );
    if (verdict.verdict === 'refused') {
      await answer(device, inner, { ...verdict, n: 1 });
      return;
    }
    if (verdict.verdict !== 'accepted') return;
    inner.windows = { ...inner.windows, [verdict.windowKey]: verdict.nextWindow };
    const { id, op } = verdict.command;
    await answer(device, inner, { id, op, status: 'accepted', n: 1 });
    const end =
      verdict.command.op === 'rekey'
        ? await rekey(device, verdict.command)
        : { status: 'succeeded' as const };
    if (end !== null) await answer(device, inner, { id, op, ...end, n: 2 });
  };

  client.on('message', (topic, payload, packet) => {
    const id = topic.split('/')[3] ?? '';
    const device = devices.get(id);
    const inner = inners.get(id);
    if (device === undefined || inner === undefined) return;
    inner.queue = inner.queue.then(() => onCommand(device, inner, topic, payload, packet.retain));
  });
  await client.subscribeAsync(`lk1/${tenant}/d/+/cmd/+`, { qos: 1 });

  const idle = async (): Promise<void> => {
    await Promise.all([...inners.values()].map(({ queue }) => queue));
  };
  return {
    devices,
    async add(id, { token, id: credentialId, gen }) {
      const key = await makeDeviceKey();
      const device: SwarmDevice = {
        id,
        key,
        gen,
        token,
        credentialId,
        isOnline: true,
        isLocked: false,
        rekeys: 0,
      };
      devices.set(id, device);
      inners.set(id, { windows: {}, answers: new Map(), queue: Promise.resolve() });
      await publish(device);
      return device;
    },
    publish,
    idle,
    async close() {
      await idle();
      isClosed = true;
      await client.endAsync(true);
    },
  };
};
