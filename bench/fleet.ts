/**
 * A fleet of devices, each with its own MQTT connection, on one Mosquitto: how fast `lockkeeper rotate fleet` goes, and
 * what messages, bytes and CPU it costs at rest and at work.
 *
 * node build.ts && node bench/fleet.ts [DEVICES] [CONCURRENCY] [BUNDLE]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { cpus, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connectAsync, type MqttClient } from 'mqtt';
import { systemClock } from '../src/core/clock.ts';
import { createNgrokApi } from '../src/fleet/api/index.ts';
import { descriptionOf, formatTag } from '../src/fleet/credential-tag.ts';
import { newCommandId } from '../src/protocol/ids.ts';
import { startSandbox } from '../src/sandbox/sandbox.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DEVICES = Number(process.argv[2] ?? 5000);
const CONCURRENCY = Number(process.argv[3] ?? 100);
const PROCESSES = 2;
const HEALTH_S = 60;
const REST_S = 60;
const TENANT = 'acme';
/** Of /proc/PID/stat on every Linux. */
const TICKS_PER_S = 100;

const cpuS = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
};
const rssMb = (pid: number): number =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);
const round = (value: number): number => Math.round(value * 100) / 100;

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

const children: ChildProcess[] = [];
const start = (
  file: string,
  args: readonly string[],
  stdio: ('pipe' | 'ignore' | 'inherit')[],
  env?: NodeJS.ProcessEnv,
): ChildProcess => {
  const child = spawn(file, [...args], { cwd: ROOT, stdio, env: env ?? process.env });
  children.push(child);
  return child;
};
const run = (
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; stdout: string; pid: number; cpu: number }> =>
  new Promise((resolve) => {
    const child = start(process.execPath, args, ['ignore', 'pipe', 'inherit'], env);
    let stdout = '';
    let cpu = 0;
    const pid = child.pid ?? 0;
    const timer = setInterval(() => {
      try {
        cpu = cpuS(pid);
      } catch {
        // It has just ended.
      }
    }, 250);
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.once('close', (code) => {
      clearInterval(timer);
      resolve({ code, stdout, pid, cpu });
    });
  });

interface Figures {
  readonly at: number;
  readonly sys: Readonly<Record<string, number>>;
  readonly brokerCpu: number;
}
const SYS = {
  received: '$SYS/broker/messages/received',
  sent: '$SYS/broker/messages/sent',
  bytesIn: '$SYS/broker/bytes/received',
  bytesOut: '$SYS/broker/bytes/sent',
  dropped: '$SYS/broker/publish/messages/dropped',
} as const;

const dir = await mkdtemp(join(tmpdir(), 'lockkeeper-fleet-bench-'));
const port = await freePort();
const url = `mqtt://127.0.0.1:${port}`;
await writeFile(
  join(dir, 'mosquitto.conf'),
  [
    `user ${userInfo().username}`,
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'persistence false',
    'sys_interval 1',
    'max_queued_messages 0',
    'set_tcp_nodelay true',
    'log_type error',
  ].join('\n'),
);
const broker = start('mosquitto', ['-c', join(dir, 'mosquitto.conf')], ['ignore', 'ignore', 'inherit']);
const sandbox = await startSandbox({ rate: { limit: 1e9, windowMs: 60_000 } });
const made = createNgrokApi({ url: sandbox.api.url, key: sandbox.api.key, rate: null });
if (!made.ok) throw new Error(made.fault.message);
const api = made.value;

await delay(500);
const watcher: MqttClient = await connectAsync(url, { protocolVersion: 5 });
const sys: Record<string, number> = {};
watcher.on('message', (topic, payload) => {
  for (const [name, filter] of Object.entries(SYS))
    if (topic === filter) sys[name] = Number(payload.toString());
});
await watcher.subscribeAsync(Object.values(SYS), { qos: 0 });
const figures = (): Figures => ({ at: performance.now(), sys: { ...sys }, brokerCpu: cpuS(broker.pid ?? 0) });
const between = (a: Figures, b: Figures) => {
  const s = (b.at - a.at) / 1000;
  const per = (name: string): number => round(((b.sys[name] ?? 0) - (a.sys[name] ?? 0)) / s);
  return {
    seconds: round(s),
    packetsInPerS: per('received'),
    packetsOutPerS: per('sent'),
    bytesInPerS: per('bytesIn'),
    bytesOutPerS: per('bytesOut'),
    droppedMessages: (b.sys['dropped'] ?? 0) - (a.sys['dropped'] ?? 0),
    brokerCpuPercent: round(((b.brokerCpu - a.brokerCpu) / s) * 100),
  };
};

try {
  await writeFile(join(dir, 'api-key'), sandbox.api.key, { mode: 0o600 });
  await writeFile(
    join(dir, 'profile.json'),
    JSON.stringify({
      tenant: TENANT,
      mqtt: { url },
      trust: 'signed',
      sign: { kid: 'ops-1', keyFile: 'ops-1.json' },
      rootKeyFile: 'root.json',
      keysFile: 'keys.json',
      devicesDir: 'devices',
      auditFile: 'audit.jsonl',
      api: { url: sandbox.api.url, keyFile: 'api-key' },
    }),
    { mode: 0o600 },
  );
  const env = { ...process.env, LOCKKEEPER_PROFILE: join(dir, 'profile.json'), XDG_STATE_HOME: dir };
  const cli = process.argv[4] ?? join(ROOT, 'dist/lockkeeper.js');
  const keys = await run([cli, 'keys', 'init'], env);
  if (keys.code !== 0) throw new Error(keys.stdout);
  const keysFile = await readFile(join(dir, 'keys.json'), 'utf8');

  const beforeConnect = figures();
  const each = Math.ceil(DEVICES / PROCESSES);
  const shown: { readonly id: string; readonly kid: string; readonly x: string }[] = [];
  const holders = await Promise.all(
    Array.from({ length: PROCESSES }, async (_, i) => {
      const child = start(
        process.execPath,
        ['--max-old-space-size=4096', 'bench/fleet-devices.ts'],
        ['pipe', 'pipe', 'inherit'],
      );
      const count = Math.min(each, DEVICES - i * each);
      child.stdin?.write(
        `${JSON.stringify({ url, tenant: TENANT, keysFile, first: i * each, count, healthS: HEALTH_S })}\n`,
      );
      const lines = createInterface({ input: child.stdout ?? process.stdin });
      await new Promise<void>((resolve) => {
        lines.on('line', (line) => {
          const said = JSON.parse(line) as {
            id?: string;
            kid?: string;
            x?: string;
            ready?: boolean;
            error?: string;
          };
          if (said.error !== undefined) process.stderr.write(`${said.error}\n`);
          if (said.id !== undefined && said.kid !== undefined && said.x !== undefined)
            shown.push({ id: said.id, kid: said.kid, x: said.x });
          if (said.ready === true) resolve();
        });
      });
      return child;
    }),
  );
  const afterConnect = figures();
  process.stdout.write(`${shown.length} devices on line\n`);

  const rest = shown.values();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const { id, kid, x } of rest) {
        const tag = { tenant: TENANT, device: id, gen: 1, mint: newCommandId(systemClock), pin: { kid, x } };
        const created = await api.credentials.create({
          description: descriptionOf(TENANT, id),
          metadata: formatTag(tag),
          acl: [`bind:${id}.edge.test`],
        });
        if (!created.ok) throw new Error(created.fault.message);
      }
    }),
  );
  process.stdout.write('credentials made\n');

  await delay(2000);
  const restFrom = figures();
  await delay(REST_S * 1000);
  const restTo = figures();

  const lookFrom = figures();
  const look = await run([cli, 'fleet', 'status', '--json', '--api-rate', '0'], env);
  const lookTo = figures();
  const seen = JSON.parse(look.stdout) as { total: number; counts: Record<string, number> };

  const from = figures();
  const devicesCpu = (): number => holders.reduce((sum, { pid }) => sum + cpuS(pid ?? 0), 0);
  const devicesFrom = devicesCpu();
  const apiFrom = process.cpuUsage();
  const rotation = await run(
    [
      cli,
      'rotate',
      'fleet',
      '--json',
      '--waves',
      '1,100%',
      '--concurrency',
      String(CONCURRENCY),
      '--api-rate',
      '0',
    ],
    env,
  );
  const to = figures();
  const report = JSON.parse(rotation.stdout) as {
    total: number;
    done: number;
    failed: number;
    unfinished: number;
    proved: boolean;
  };
  const seconds = (to.at - from.at) / 1000;
  const apiCpu = process.cpuUsage(apiFrom);

  const result = {
    what: 'devices with MQTT connections of their own on one Mosquitto; `lockkeeper rotate fleet` over all of them',
    date: new Date().toISOString(),
    node: process.version,
    cpu: `${cpus()[0]?.model ?? '?'}, ${cpus().length} cores, shared by broker, devices, API stand-in and rotate`,
    devices: shown.length,
    healthS: HEALTH_S,
    connect: {
      ...between(beforeConnect, afterConnect),
      devicesPerS: round(shown.length / ((afterConnect.at - beforeConnect.at) / 1000)),
    },
    atRest: between(restFrom, restTo),
    status: { ...between(lookFrom, lookTo), total: seen.total, counts: seen.counts, cpuS: round(look.cpu) },
    rotation: {
      ...between(from, to),
      exitCode: rotation.code,
      concurrency: CONCURRENCY,
      done: report.done,
      failed: report.failed,
      unfinished: report.unfinished,
      proved: report.proved,
      devicesPerS: round(report.done / seconds),
      bytesPerDevice: Math.round(
        ((to.sys['bytesIn'] ?? 0) -
          (from.sys['bytesIn'] ?? 0) +
          (to.sys['bytesOut'] ?? 0) -
          (from.sys['bytesOut'] ?? 0)) /
          report.done,
      ),
      cpuMsPerDevice: {
        broker: round(((to.brokerCpu - from.brokerCpu) * 1000) / report.done),
        rotate: round((rotation.cpu * 1000) / report.done),
        devices: round(((devicesCpu() - devicesFrom) * 1000) / report.done),
        apiStandIn: round((apiCpu.user + apiCpu.system) / 1000 / report.done),
      },
    },
    memoryMb: { broker: rssMb(broker.pid ?? 0), devices: holders.map(({ pid }) => rssMb(pid ?? 0)) },
  };
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  if (DEVICES >= 5000)
    await writeFile(join(ROOT, 'bench/results/fleet.json'), `${JSON.stringify(result, null, 2)}\n`);
  process.exitCode = report.proved && report.done === shown.length ? 0 : 1;
} finally {
  for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
  await watcher.endAsync(true);
  await sandbox.close();
  await rm(dir, { recursive: true, force: true });
}
