/** A device for tests of the operator's side: speaks `lk1` truly, judges as the daemon does, and opens nothing. */
import { connectAsync } from 'mqtt';
import { onTestFinished } from 'vitest';
import type { Command } from '../../src/protocol/command-schema.ts';
import type { DesiredDocument } from '../../src/protocol/desired-schema.ts';
import { type DeviceKey, makeDeviceKey } from '../../src/protocol/device-key.ts';
import { judgeCommand } from '../../src/protocol/judge-command.ts';
import type { JudgeTime, TrustPolicy } from '../../src/protocol/judge-context.ts';
import { judgeDesired } from '../../src/protocol/judge-desired.ts';
import { openTrust, parseKeysFile, replaceKeySet } from '../../src/protocol/keyset.ts';
import type { ReportedEndpoint } from '../../src/protocol/reported-schema.ts';
import type { ResultMessage, ResultStatus } from '../../src/protocol/result-schema.ts';
import { unsealToken } from '../../src/protocol/seal.ts';
import type { SeqWindows } from '../../src/protocol/seq-window.ts';

export const TENANT = 'acme';
export const BOOT = '9f3c1a7e5b2d4c60';

/** How a command ends; `none` leaves the sender without an answer. */
export type Ending =
  | { readonly status: ResultStatus; readonly code?: string; readonly msg?: string; readonly out?: object }
  | 'none';

export interface ScriptedDeviceOptions {
  readonly url: string;
  readonly id?: string;
  /** Text of a keys file; without it the device is in broker mode. */
  readonly keysFile?: string;
  readonly clock?: JudgeTime['state'];
  readonly endings?: (command: Command) => Ending;
  /** Endpoint states after a document; undefined leaves `applied` behind for good. */
  readonly converge?: (document: DesiredDocument) => readonly ReportedEndpoint[] | undefined;
  /** Published as `hello.enc` instead of the device's own key. */
  readonly shownKey?: DeviceKey;
}

export interface ScriptedDevice {
  readonly id: string;
  readonly key: DeviceKey;
  readonly commands: Command[];
  readonly documents: DesiredDocument[];
  /** Verdicts that were not `accepted`. */
  readonly refusals: string[];
  readonly tokens: string[];
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

/** Connects and publishes presence, hello and reported; everything after runs by itself until the test ends. */
export const startScriptedDevice = async (options: ScriptedDeviceOptions): Promise<ScriptedDevice> => {
  const id = options.id ?? 'press-7';
  const key = await makeDeviceKey();
  const base = `lk1/${TENANT}/d/${id}`;
  let policy = await policyOf(options.keysFile);
  let windows: SeqWindows = {};
  let current: { rev: number; digest: string; applied: number; endpoints: readonly ReportedEndpoint[] } = {
    rev: 0,
    digest: '',
    applied: 0,
    endpoints: [],
  };
  let bad: { rev?: number; code: string } | undefined;
  let generation = 1;
  const device: ScriptedDevice = { id, key, commands: [], documents: [], refusals: [], tokens: [] };

  const client = await connectAsync(options.url, {
    clientId: id,
    protocolVersion: 4,
    reconnectPeriod: 0,
    will: {
      topic: `${base}/presence`,
      payload: Buffer.from(JSON.stringify({ v: 1, online: false, boot: BOOT, n: 1, why: 'lost' })),
      qos: 1,
      retain: true,
    },
  });
  let isEnded = false;
  let queue: Promise<void> = Promise.resolve();
  onTestFinished(async () => {
    isEnded = true;
    await queue;
    await client.endAsync(true);
  });
  const publish = (leaf: string, body: object, retain = false): Promise<unknown> =>
    client.publishAsync(`${base}/${leaf}`, JSON.stringify(body), { qos: 1, retain });
  const time = (): JudgeTime => ({ state: options.clock ?? 'ntp', nowS: seconds() });
  const report = (): Promise<unknown> =>
    publish(
      'reported',
      {
        v: 1,
        ts: seconds(),
        boot: BOOT,
        rev: current.rev,
        applied: current.applied,
        ...(bad === undefined ? {} : { bad }),
        cred: { gen: generation, state: 'ok' },
        session: { state: 'up' },
        endpoints: current.endpoints,
      },
      true,
    );
  const result = (command: { id: string; op: string }, n: number, ending: Exclude<Ending, 'none'>) =>
    publish(`res/${command.id}`, {
      v: 1,
      id: command.id,
      op: command.op,
      n,
      ts: seconds(),
      boot: BOOT,
      ...ending,
    } as ResultMessage);

  const builtIn = async (command: Command): Promise<Ending> => {
    if (command.op === 'rekey') {
      const { gen, sealed } = command.args;
      const opened = await unsealToken(sealed, [key], { dev: id, gen });
      if (!opened.ok) return { status: 'failed', code: opened.fault.code, msg: opened.fault.message };
      device.tokens.push(opened.value.tok);
      generation = gen;
      await report();
      return { status: 'succeeded', out: { gen } };
    }
    if (command.op === 'keys' && policy.mode === 'signed') {
      const next = await replaceKeySet(policy.trust, command.args.set, seconds());
      if (!next.ok) return { status: 'failed', code: next.fault.code, msg: next.fault.message };
      policy = { mode: 'signed', trust: next.value };
      return { status: 'succeeded', out: { version: next.value.set.version } };
    }
    return { status: 'succeeded', out: command.op === 'start' ? { url: 'https://press-7.edge.test' } : {} };
  };

  const onCommand = async (topic: string, payload: Uint8Array, retain: boolean): Promise<void> => {
    const verdict = await judgeCommand(
      { topic, payload, retain },
      {
        tenant: TENANT,
        device: id,
        policy,
        time: time(),
        boot: BOOT,
        groups: [],
        windows,
        lookup: () => undefined,
      },
    );
    if (verdict.verdict === 'refused') {
      device.refusals.push(verdict.code);
      await result(verdict, 1, { status: verdict.status, code: verdict.code, msg: verdict.msg });
    } else if (verdict.verdict === 'accepted') {
      windows = { ...windows, [verdict.windowKey]: verdict.nextWindow };
      device.commands.push(verdict.command);
      await result(verdict.command, 1, { status: 'accepted' });
      const ending = options.endings?.(verdict.command) ?? (await builtIn(verdict.command));
      if (ending !== 'none') await result(verdict.command, 2, ending);
    } else device.refusals.push(verdict.verdict);
  };

  const onDesired = async (topic: string, payload: Uint8Array, retain: boolean): Promise<void> => {
    const verdict = await judgeDesired(
      { topic, payload, retain },
      {
        tenant: TENANT,
        device: id,
        policy,
        time: time(),
        current: current.rev === 0 ? undefined : { rev: current.rev, digest: current.digest },
      },
    );
    if (verdict.verdict === 'bad') {
      bad = { code: verdict.code, ...(verdict.rev === undefined ? {} : { rev: verdict.rev }) };
      await report();
    }
    if (verdict.verdict !== 'accepted') return;
    bad = undefined;
    device.documents.push(verdict.document);
    const { rev } = verdict.document;
    current = { ...current, rev, digest: verdict.digest };
    await report();
    const endpoints = (
      options.converge ??
      ((document) =>
        document.endpoints.map(({ name, on }) => ({ name, state: on ? ('up' as const) : ('down' as const) })))
    )(verdict.document);
    if (endpoints === undefined) return;
    const isReached = endpoints.every(({ state }) => state !== 'denied' && state !== 'failed');
    current = { ...current, endpoints, applied: isReached ? rev : current.applied };
    await report();
  };

  client.on('message', (topic, payload, packet) => {
    const handle = topic.endsWith('/desired') ? onDesired : onCommand;
    queue = queue.then(() => (isEnded ? undefined : handle(topic, payload, packet.retain)));
  });
  const enc = options.shownKey ?? key;
  await publish('presence', { v: 1, online: true, boot: BOOT, n: 1, ts: seconds() }, true);
  await publish(
    'hello',
    {
      v: 1,
      boot: BOOT,
      agent: 'scripted',
      proto: 4,
      trust: policy.mode,
      enc: { kid: enc.kid, crv: 'X25519', x: enc.x },
      ops: ['ping'],
    },
    true,
  );
  await report();
  await client.subscribeAsync([`${base}/cmd/+`, `${base}/desired`], { qos: 1 });
  return device;
};
