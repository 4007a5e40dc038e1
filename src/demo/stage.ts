/** Everything the demo plays on, in one temporary folder and on free loopback ports. Closing it leaves nothing behind. */
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callDaemon } from '../fleet/cli/control-client.ts';
import { type Sandbox, startSandbox } from '../sandbox/sandbox.ts';
import { type Device, initDevice, startDevice } from './device.ts';
import type { Narrator } from './narrator.ts';
import {
  connectOperator,
  type Operator,
  type OperatorFiles,
  unwrap,
  writeOperatorFiles,
} from './operator.ts';
import { startUpstream } from './upstream.ts';
import { createVisitors, type Visitors } from './visitors.ts';

export const DEVICE = 'press-7';
const TENANT = 'demo';
/** Unix sockets have short paths, so a long temporary folder is of no use. */
const MAX_TMP_LENGTH = 30;

/** The part of `lockkeeper status --json` that the tour looks at. */
export interface DeviceStatus {
  readonly session: { readonly state: string; readonly generation: number };
  readonly endpoints: readonly {
    readonly name: string;
    readonly state: string;
    readonly url: string | null;
    readonly leaseEndsAt: string | null;
    readonly requests: number;
  }[];
  readonly tunnels: readonly { readonly tunnel: string; readonly pid: number }[];
}

export interface Stage {
  readonly sandbox: Sandbox;
  readonly device: Device;
  readonly operator: Operator;
  readonly visitors: Visitors;
  readonly publicHost: string;
  readonly configFile: string;
  readonly socket: string;
  readonly profileFile: string;
  status(): Promise<DeviceStatus>;
}

/** What has to be undone, the last one first. */
export interface Backstage {
  /** Adds work for the end. */
  onClose(close: () => unknown): void;
  /** Everything that must not outlive this process, at once. */
  onKill(kill: () => void): void;
  close(): Promise<void>;
  killNow(): void;
}

export const createBackstage = (): Backstage => {
  const closers: (() => unknown)[] = [];
  const killers: (() => void)[] = [];
  let isClosing = false;
  /** One part that does not close in order must not keep the others open. */
  const closeOne = async (close: () => unknown): Promise<void> => {
    try {
      await close();
    } catch (error) {
      process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  };
  return {
    onClose: (close) => {
      // Interrupted while the stage was being set: what comes late goes at once.
      if (isClosing) void closeOne(close);
      else closers.push(close);
    },
    onKill: (kill) => void killers.push(kill),
    async close() {
      isClosing = true;
      for (let close = closers.pop(); close !== undefined; close = closers.pop()) await closeOne(close);
    },
    killNow: () => {
      for (const kill of killers.toReversed()) kill();
    },
  };
};

const writeConfig = async (
  dir: string,
  sandbox: Sandbox,
  files: OperatorFiles,
  upstreamPort: number,
  publicHost: string,
): Promise<{ configFile: string; stateDir: string; socket: string }> => {
  const { line } = sandbox;
  const deviceDir = join(dir, 'device');
  await mkdir(deviceDir, { recursive: true, mode: 0o700 });
  const authtokenFile = join(deviceDir, 'authtoken');
  await writeFile(authtokenFile, `${line.authtokens['default'] ?? ''}\n`, { mode: 0o600 });
  const stateDir = join(deviceDir, 'state');
  const socket = join(deviceDir, 'control.sock');
  const configFile = join(deviceDir, 'config.json');
  const config = {
    device: { id: DEVICE, tenant: TENANT },
    stateDir,
    socket,
    mqtt: { url: line.broker.url },
    trust: { mode: 'signed', keysFile: files.keysFile },
    ngrok: { authtokenFile, serverAddr: line.edge.addr, caFile: line.caFile },
    upstreams: { hmi: { url: `http://127.0.0.1:${upstreamPort}` } },
    endpoints: [{ name: 'web', proto: 'http', upstream: 'hmi', url: `https://${publicHost}` }],
    drain: { deadlineS: 5 },
  };
  await writeFile(configFile, `${JSON.stringify(config, null, 2)}\n`);
  return { configFile, stateDir, socket };
};

/** Sets everything up, a printed step for each part; what was opened is in `backstage`, also when this rejects. */
export const setStage = async ({ step }: Narrator, backstage: Backstage): Promise<Stage> => {
  const base = tmpdir().length > MAX_TMP_LENGTH ? '/tmp' : tmpdir();
  const dir = await mkdtemp(join(base, 'lk-demo-'));
  backstage.onClose(() => rm(dir, { recursive: true, force: true, maxRetries: 3 }));

  backstage.onKill(() => rmSync(dir, { recursive: true, force: true }));

  const made: Partial<{ sandbox: Sandbox; operator: Operator; device: Device; files: OperatorFiles }> = {};
  const need = <T>(value: T | undefined): T => {
    if (value === undefined) throw new TypeError('a part of the stage is missing');
    return value;
  };
  const upstream = await startUpstream();
  backstage.onClose(() => upstream.close());

  await step('sandbox', async () => {
    const sandbox = await startSandbox({ dir: join(dir, 'sandbox') });
    backstage.onClose(() => sandbox.close());
    made.sandbox = sandbox;
    return `an agent edge, its API and an MQTT broker listen on loopback; no account, no internet`;
  });
  const sandbox = need(made.sandbox);
  const publicHost = `${DEVICE}.${sandbox.line.domain}`;
  let place = { configFile: '', stateDir: '', socket: '' };

  await step('keys', async () => {
    const files = await writeOperatorFiles(join(dir, 'operator'), TENANT, sandbox.line.broker.url);
    made.files = files;
    place = await writeConfig(dir, sandbox, files, upstream.port, publicHost);
    const keyFile = join(dir, 'operator', `${DEVICE}.pub.json`);
    const printed = await initDevice(place.configFile);
    await writeFile(keyFile, printed);
    const operator = await connectOperator(files, DEVICE);
    backstage.onClose(() => operator.close());
    made.operator = operator;
    await operator.pin(keyFile);
    const { fingerprint } = JSON.parse(printed) as { readonly fingerprint: string };
    return `lockkeeperd --init made the device's key; the operator pins ${fingerprint.slice(0, 14)}…`;
  });
  const operator = need(made.operator);

  await step('daemon', async () => {
    const device = startDevice(place.configFile, place.stateDir);
    made.device = device;
    backstage.onKill(device.killNow);
    backstage.onClose(() => device.stop());
    await Promise.race([operator.deviceOnline(), device.crashed]);
    return `lockkeeperd runs (pid ${device.pid}) and says hello over MQTT`;
  });
  const device = need(made.device);

  const visitors = createVisitors(sandbox.line.edge.http, publicHost);
  backstage.onClose(() => visitors.close());
  return {
    sandbox,
    device,
    operator,
    visitors,
    publicHost,
    configFile: place.configFile,
    socket: place.socket,
    profileFile: need(made.files).profileFile,
    status: async () =>
      unwrap(await callDaemon(place.socket, 'GET', '/v1/status')) as unknown as DeviceStatus,
  };
};
