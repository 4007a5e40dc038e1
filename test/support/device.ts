/** A whole device in the sandbox: edge, broker and API in this process, an upstream, and the real daemon as a child. */
import { chown, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.ts';
import { type Cloud, connectCloud } from './cloud.ts';
import { type Running, spawnNode, spawnProgram, startable } from './spawn-node.ts';
import { makeTempDir } from './temp-dir.ts';
import { type Load, startLoad, type Visit, visit } from './visitors.ts';
import { waitFor } from './wait-for.ts';

type Json = Readonly<Record<string, unknown>>;

export interface StatusSeen {
  readonly pid: number;
  readonly link: {
    readonly state: string;
    readonly protocol: number | null;
    readonly lastError: { readonly code: string } | null;
  };
  readonly session: {
    readonly state: string;
    readonly since: string | null;
    readonly generation: number;
    readonly reconnects: number;
    readonly lastError: { readonly code: string; readonly ngrokCode?: string } | null;
  };
  readonly endpoints: readonly {
    readonly name: string;
    readonly state: string;
    readonly since: string | null;
    readonly url: string;
    readonly upstream: string;
    readonly by: string;
    readonly leaseEndsAt: string | null;
    readonly requests: number;
    readonly inFlight: number;
    readonly lastError: { readonly code: string; readonly message: string } | null;
  }[];
  readonly conditions: readonly {
    readonly code: string;
    readonly severity: string;
    readonly since: string;
    readonly message: string;
    readonly endpoint?: string;
  }[];
  readonly locked: boolean;
  readonly desired: { readonly rev: number; readonly applied: number };
  readonly credential: { readonly generation: number; readonly state: string };
  readonly tunnels: readonly { readonly tunnel: string; readonly pid: number }[];
}

export interface DeviceOptions {
  /** Laid over the generated configuration, key by key at the top. */
  readonly config?: Json;
  readonly upstream?: RequestListener;
  readonly sandbox?: SandboxOptions;
  /** A broker that takes the place of the sandbox's. */
  readonly brokerUrl?: string;
  /** False: the daemon is started by the test. */
  readonly start?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The daemon runs as a user whom file modes bind, also where the tests run as root. */
  readonly unprivileged?: boolean;
}

export interface Device {
  readonly sandbox: Sandbox;
  readonly cloud: Cloud;
  readonly dir: string;
  readonly stateDir: string;
  readonly configFile: string;
  readonly tokenFile: string;
  readonly upstreamPort: number;
  /** Starts the daemon, the first time and after it ended; resolves once commands reach it. */
  start(): Promise<void>;
  /** Starts the daemon without waiting for anything. */
  spawn(): Running;
  /** The child that was started last. A hand-over puts a process in its place that is no child of ours. */
  daemon(): Running;
  status(): Promise<StatusSeen>;
  /** Waits until the status looks right. */
  until(look: (status: StatusSeen) => unknown, what: string, deadlineMs?: number): Promise<StatusSeen>;
  post(path: '/v1/lock' | '/v1/unlock'): Promise<number>;
  visit(path?: string, host?: string): Promise<Visit>;
  load(clients: number, pathOf?: (client: number) => string): Load;
  fault(body: Json): Promise<void>;
  /** Signals the daemon that serves now and waits until it is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** The pids of the tunnel processes, from their own files. */
  tunnelPids(): Promise<readonly number[]>;
  /** Everything that this test's daemons have logged. */
  log(): string;
  writeConfig(config: Json): Promise<void>;
}

const HOST = 'device-1.edge.test';
/** The endpoint `web`, open from the start. */
export const ALWAYS_ON = {
  endpoints: [{ name: 'web', proto: 'http', upstream: 'hmi', url: `https://${HOST}`, on: true }],
};
const NOBODY = 65_534;
const AS_NOBODY = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
};

const gone = (pid: number): Promise<unknown> =>
  waitFor(() => !isAlive(pid), { what: `the end of process ${pid}`, deadlineMs: 60_000 });

/** Asks the daemon's socket. */
const ask = (
  socketPath: string,
  method: string,
  path: string,
): Promise<{ readonly status: number; readonly text: string }> =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    asked.on('error', reject);
    asked.end();
  });

const listen = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
};

/** Answers `/slow/MS` after so many milliseconds, everything else at once. */
export const plainUpstream: RequestListener = (asked, answer) => {
  const slow = /^\/slow\/(\d+)/.exec(asked.url ?? '');
  if (slow === null) answer.end(`hello ${asked.url ?? ''}`);
  else setTimeout(() => answer.end('slow'), Number(slow[1]));
};

/** Builds the world. All of it ends with the test: no process, no file, no port stays. */
export const startDevice = async (options: DeviceOptions = {}): Promise<Device> => {
  const dir = await makeTempDir('lk-');
  const stateDir = join(dir, 's');
  const socketPath = join(dir, 'd.sock');
  const configFile = join(dir, 'config.json');
  const tokenFile = join(dir, 'authtoken');
  const runDir = join(stateDir, 'run');
  const daemons: Running[] = [];

  const pidsIn = async (): Promise<number[]> => {
    const names = await readdir(runDir).catch(() => []);
    const texts = await Promise.all(
      names
        .filter((name) => name.endsWith('.pid'))
        .map((name) => readFile(join(runDir, name), 'utf8').catch(() => '')),
    );
    return texts.map(Number).filter((pid) => pid > 0);
  };
  const status = async (): Promise<StatusSeen> => {
    const { text } = await ask(socketPath, 'GET', '/v1/status');
    return JSON.parse(text) as StatusSeen;
  };

  const isDropping = options.unprivileged === true && process.getuid?.() === 0;
  const sandbox = await startSandbox(options.sandbox);
  const upstream = createServer(options.upstream ?? plainUpstream);
  const upstreamPort = await listen(upstream);
  const { line } = sandbox;
  const brokerUrl = options.brokerUrl ?? line.broker.url;
  const base = {
    device: { id: 'device-1', tenant: 'sandbox' },
    stateDir,
    socket: socketPath,
    mqtt: { url: brokerUrl },
    trust: { mode: 'broker' },
    ngrok: { authtokenFile: tokenFile, serverAddr: line.edge.addr, caFile: line.caFile },
    upstreams: { hmi: { url: `http://127.0.0.1:${upstreamPort}` } },
    endpoints: [{ name: 'web', proto: 'http', upstream: 'hmi', url: `https://${HOST}` }],
    drain: { deadlineS: 10 },
    handover: { graceS: 20 },
  };
  const writeConfig = (config: Json): Promise<void> =>
    writeFile(configFile, JSON.stringify({ ...base, ...config }));
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  await writeConfig(options.config ?? {});
  await writeFile(tokenFile, line.authtokens['default'] ?? '', { mode: 0o600 });
  if (isDropping)
    for (const path of [dir, stateDir, tokenFile, sandbox.dir, line.caFile])
      await chown(path, NOBODY, NOBODY);
  const cloud = await connectCloud({ url: brokerUrl, tenant: 'sandbox', device: 'device-1' });

  onTestFinished(async () => {
    // A handed-over daemon is nobody's child: its status names it.
    const serving = await status().then(
      ({ pid }) => [pid],
      () => [],
    );
    for (const pid of [
      ...daemons
        .filter(({ child }) => child.exitCode === null && child.signalCode === null)
        .map(({ pid: p }) => p),
      ...serving,
    ]) {
      signal(pid, 'SIGKILL');
      await gone(pid);
    }
    for (const pid of await pidsIn()) {
      signal(pid, 'SIGKILL');
      await gone(pid);
    }
    await cloud.end();
    upstream.closeAllConnections();
    upstream.close();
    await sandbox.close();
    await rm(dir, { recursive: true, force: true });
    if (sandbox.bugs.length > 0) throw new AggregateError(sandbox.bugs, 'the sandbox met a bug of its own');
  });

  const spawn = (): Running => {
    const args = ['--config', configFile];
    const how = { autoKill: false, ...(options.env === undefined ? {} : { env: options.env }) };
    const daemon = isDropping
      ? spawnProgram(
          'setpriv',
          [...AS_NOBODY, process.execPath, startable('src/lockkeeperd.ts'), ...args],
          how,
        )
      : spawnNode('src/lockkeeperd.ts', args, how);
    daemons.push(daemon);
    return daemon;
  };
  const last = (): Running => {
    const daemon = daemons.at(-1);
    if (daemon === undefined) throw new Error('the daemon was not started');
    return daemon;
  };
  const log = (): string => daemons.map((d) => `${d.stdout()}${d.stderr()}`).join('');
  const until: Device['until'] = async (look, what, deadlineMs = 20_000) => {
    let seen: StatusSeen | undefined;
    try {
      return await waitFor(
        async () => {
          seen = await status();
          return look(seen) ? seen : undefined;
        },
        { what, deadlineMs, everyMs: 50 },
      );
    } catch (cause) {
      throw new Error(`${what}\nlast status: ${JSON.stringify(seen)}\nlog:\n${log().slice(-6000)}`, {
        cause,
      });
    }
  };
  const start = async (): Promise<void> => {
    const daemon = spawn();
    const births = cloud.messages().length;
    await until(
      ({ pid, link }) => pid === daemon.pid && (!sandbox.broker.isOn || link.state === 'connected'),
      'the daemon answers on its socket and has its link',
    );
    const isBirth = ({ topic, text }: { topic: string; text: string }): boolean =>
      topic.endsWith('/presence') && text.includes('"online":true');
    if (sandbox.broker.isOn)
      await waitFor(() => cloud.messages().slice(births).some(isBirth), { what: 'the birth' });
  };

  if (options.start !== false) await start();
  return {
    sandbox,
    cloud,
    dir,
    stateDir,
    configFile,
    tokenFile,
    upstreamPort,
    start,
    spawn,
    daemon: last,
    status,
    until,
    post: async (path) => (await ask(socketPath, 'POST', path)).status,
    visit: (path, host = HOST) => visit({ http: line.edge.http, host }, path),
    load: (clients, pathOf = () => '/load') =>
      startLoad({ http: line.edge.http, host: HOST }, clients, pathOf),
    fault: async (body) => {
      const answer = await fetch(`${line.control.url}/faults`, {
        method: 'POST',
        body: JSON.stringify(body),
      });
      if (answer.status !== 200) throw new Error(await answer.text());
    },
    kill: async (name) => {
      const { pid } = await status();
      signal(pid, name);
      await gone(pid);
    },
    tunnelPids: pidsIn,
    log,
    writeConfig,
  };
};

/** State of one endpoint in a status. */
export const stateOf = (status: StatusSeen, name = 'web'): string | undefined =>
  status.endpoints.find((endpoint) => endpoint.name === name)?.state;
