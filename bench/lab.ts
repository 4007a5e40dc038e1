/** A device in the sandbox for measurements: every part a process of its own, so that its CPU can be told apart. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../src/core/version.ts';
import { type Cloud, connectCloud } from '../test/support/cloud.ts';
import type { Door } from '../test/support/visitors.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

export interface SandboxLine {
  readonly caFile: string;
  readonly domain: string;
  readonly edge: { readonly addr: string; readonly http: string };
  readonly broker: { readonly url: string };
  readonly control: { readonly url: string };
  readonly authtokens: Readonly<Record<string, string>>;
}

export interface Lab {
  readonly stateDir: string;
  readonly line: SandboxLine;
  readonly cloud: Cloud;
  readonly device: Door;
  readonly bare: Door;
  readonly sandboxPid: number;
  daemonPid(): number;
  status(): Promise<{ readonly tunnels: readonly { readonly pid: number }[] }>;
  startDaemon(): Promise<void>;
  /** The bare SDK, forwarding straight to the same upstream. */
  startBare(): Promise<number>;
  fault(body: Readonly<Record<string, unknown>>): Promise<void>;
  end(): Promise<void>;
}

const firstLine = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    if (child.stdout === null) return reject(new Error('no stdout'));
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', (code) => reject(new Error(`ended with ${code} before its first line`)));
  });

const run = (script: string, args: readonly string[], node = process.execPath): ChildProcess =>
  spawn(node, [join(ROOT, script), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });

const post = (url: string, body: unknown): Promise<void> =>
  new Promise((resolve, reject) => {
    const asked = request(url, { method: 'POST', agent: false }, (answer) => {
      answer.resume();
      answer.on('end', resolve);
    });
    asked.on('error', reject);
    asked.end(JSON.stringify(body));
  });

const unixGet = (socketPath: string, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => resolve(text));
    });
    asked.on('error', reject);
    asked.end();
  });

export const startLab = async (config: Readonly<Record<string, unknown>> = {}): Promise<Lab> => {
  const dir = await mkdtemp(join(tmpdir(), 'lk-bench-'));
  const children: ChildProcess[] = [];
  const keep = (child: ChildProcess): ChildProcess => {
    children.push(child);
    return child;
  };
  const sandbox = keep(run('src/sandbox/main.ts', ['--json', '--dir', dir]));
  const line = JSON.parse(await firstLine(sandbox)) as SandboxLine;
  const upstream = keep(run('bench/upstream.ts', []));
  const upstreamUrl = await firstLine(upstream);
  const node = join(dir, 'node');
  await copyFile(process.execPath, node);
  const socket = join(dir, 'd.sock');
  const configFile = join(dir, 'bench.json');
  await writeFile(
    configFile,
    JSON.stringify({
      device: { id: 'device-1', tenant: 'sandbox' },
      stateDir: join(dir, 's'),
      socket,
      mqtt: { url: line.broker.url },
      trust: { mode: 'broker' },
      ngrok: { authtokenFile: join(dir, 'authtoken'), serverAddr: line.edge.addr, caFile: line.caFile },
      upstreams: { hmi: { url: upstreamUrl } },
      endpoints: [
        { name: 'web', proto: 'http', upstream: 'hmi', url: `https://device-1.${line.domain}`, on: true },
      ],
      log: { level: 'warn' },
      ...config,
    }),
  );
  const cloud = await connectCloud({ url: line.broker.url, tenant: 'sandbox', device: 'device-1' });
  let daemon: ChildProcess | null = null;
  const status: Lab['status'] = async () =>
    JSON.parse(await unixGet(socket, '/v1/status')) as { tunnels: { pid: number }[] };
  return {
    stateDir: join(dir, 's'),
    line,
    cloud,
    device: { http: line.edge.http, host: `device-1.${line.domain}` },
    bare: { http: line.edge.http, host: `bare.${line.domain}` },
    sandboxPid: sandbox.pid ?? 0,
    daemonPid: () => daemon?.pid ?? 0,
    status,
    startDaemon: () => {
      // With a Node of its own: pages shared with the other parts would count for half.
      daemon = keep(run('dist/lockkeeperd.js', ['--config', configFile], node));
      daemon.stdout?.resume();
      return Promise.resolve();
    },
    startBare: async () => {
      const bare = keep(
        run('bench/bare-agent.ts', [
          line.edge.addr,
          line.caFile,
          join(dir, 'authtoken'),
          `bare.${line.domain}`,
          upstreamUrl,
        ]),
      );
      await firstLine(bare);
      bare.stdout?.resume();
      return bare.pid ?? 0;
    },
    fault: (body) => post(`${line.control.url}/faults`, body),
    end: async () => {
      const tunnels = await status().then(
        (s) => s.tunnels.map((t) => t.pid),
        () => [],
      );
      await cloud.end();
      for (const child of children) child.kill('SIGKILL');
      for (const pid of tunnels) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // Gone with its supervisor.
        }
      }
      await rm(dir, { recursive: true, force: true });
    },
  };
};

export interface ProcessFigures {
  readonly cpuMs: number;
  readonly rssKb: number;
  readonly pssKb: number;
  readonly fds: number;
  readonly threads: number;
}

const TICK_MS = 10;

/** What a process used so far; zeros when it is gone. */
export const processFigures = (pid: number): ProcessFigures => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const kb = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0);
    return {
      cpuMs: (Number(stat[11]) + Number(stat[12])) * TICK_MS,
      rssKb: kb('Rss'),
      pssKb: kb('Pss'),
      fds: readdirSync(`/proc/${pid}/fd`).length,
      threads: readdirSync(`/proc/${pid}/task`).length,
    };
  } catch {
    return { cpuMs: 0, rssKb: 0, pssKb: 0, fds: 0, threads: 0 };
  }
};

/** Facts that a figure means nothing without. */
export const machineFacts = (): Readonly<Record<string, unknown>> => ({
  date: new Date().toISOString(),
  lockkeeper: VERSION,
  node: process.version,
  cpu: cpus()[0]?.model ?? '',
  cores: cpus().length,
  memoryMb: Math.round(totalmem() / 1024 / 1024),
});

/** Prints the result and keeps it under `bench/results/`. */
export const keepResult = async (name: string, result: unknown): Promise<void> => {
  const text = `${JSON.stringify({ machine: machineFacts(), result }, null, 2)}\n`;
  process.stdout.write(text);
  await writeFile(join(ROOT, 'bench/results', `${name}.json`), text);
};

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
