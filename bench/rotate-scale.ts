/**
 * Rotates a large fleet of simulated devices once, with the command line as a program of its own, over one Mosquitto
 * and the sandbox's API: how fast, how many API requests, how much MQTT, how much processor.
 *
 * node build.ts && node bench/rotate-scale.ts [DEVICES] [API-LIMIT-A-MINUTE, 0 for none] [BUNDLE]
 *
 * With a limit a second client eats half of it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startFleetWorld } from '../test/support/fleet-world.ts';
import { freePort } from '../test/support/free-port.ts';
import { makeDesk } from './rotate-kills.ts';

const devices = Number(process.argv[2] ?? 10_000);
const limit = Number(process.argv[3] ?? 0);
const bundle = process.argv[4] ?? fileURLToPath(new URL('../dist/lockkeeper.js', import.meta.url));
const MINUTE_MS = 60_000;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Processor seconds of a process so far, from the system's own count. */
const cpuS = async (pid: number): Promise<number> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
};

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

const startBroker = async (dir: string): Promise<{ readonly child: ChildProcess; readonly url: string }> => {
  const port = await freePort();
  const config = join(dir, 'mosquitto.conf');
  await writeFile(
    config,
    `user ${userInfo().username}\nlistener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\nsys_interval 1\nmax_queued_messages 0\nlog_type none\n`,
  );
  const child = spawn('/usr/sbin/mosquitto', ['-c', config], { stdio: 'ignore' });
  while (!(await isOpen(port))) await delay(50);
  return { child, url: `mqtt://127.0.0.1:${port}` };
};

const dir = await mkdtemp(join(tmpdir(), 'lockkeeper-scale-'));
const broker = await startBroker(dir);
const world = await startFleetWorld({ brokerUrl: broker.url });
const mostInAMinute = { value: 0 };
try {
  say(`enrolling ${devices} devices`);
  await world.enroll(devices);
  const { line, api } = world.sandbox;
  const desk = await makeDesk(world, [process.execPath, bundle]);
  const profile = join(desk.dir, 'profile.json');
  const text = JSON.parse(await readFile(profile, 'utf8')) as { mqtt: { url: string } };
  text.mqtt.url = broker.url;
  await writeFile(profile, JSON.stringify(text), { mode: 0o600 });

  const answeredAt = api.answered;
  const arrivals: number[] = [];
  let seen = answeredAt;
  const counting = setInterval(() => {
    const now = performance.now();
    for (; seen < api.answered; seen += 1) arrivals.push(now);
  }, 20);
  let isOver = false;
  let others = 0;
  if (limit > 0) Object.assign(api.rate, { limit, windowMs: MINUTE_MS });
  const other = (async () => {
    while (limit > 0 && !isOver) {
      await fetch(`${line.api.url}/tunnel_sessions`, {
        headers: { authorization: `Bearer ${line.api.key}`, 'ngrok-version': '2' },
      });
      others += 1;
      await delay((2 * MINUTE_MS) / limit);
    }
  })();

  const brokerBefore = await cpuS(broker.child.pid ?? 0);
  const startMs = performance.now();
  const child = spawn(
    process.execPath,
    [
      ...[bundle, 'rotate', 'fleet', '--json', '--waves', '1,10%,100%', '--concurrency', '50'],
      ...['--api-rate', String(limit)],
    ],
    {
      env: { ...process.env, LOCKKEEPER_PROFILE: profile, XDG_STATE_HOME: desk.dir },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let stdout = '';
  let stderr = '';
  let memoryKb = 0;
  let cliCpuS = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('utf8');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
  });
  const watching = setInterval(() => {
    void (async () => {
      const status = await readFile(`/proc/${child.pid ?? 0}/status`, 'utf8').catch(() => '');
      memoryKb = Math.max(memoryKb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
      cliCpuS = Math.max(cliCpuS, await cpuS(child.pid ?? 0));
    })();
  }, 500);
  const telling = setInterval(() => {
    const moved = [...world.swarm.devices.values()].filter(({ gen }) => gen > 1).length;
    say(`${Math.round((performance.now() - startMs) / 1000)} s: ${moved} of ${devices}`);
  }, 10_000);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const tookS = (performance.now() - startMs) / 1000;
  for (const timer of [counting, watching, telling]) clearInterval(timer);
  isOver = true;
  await other;
  for (const at of arrivals) {
    const within = arrivals.filter((t) => t >= at && t < at + MINUTE_MS).length;
    if (limit > 0) mostInAMinute.value = Math.max(mostInAMinute.value, within);
  }
  const report = JSON.parse(stdout || '{}') as Record<string, unknown>;
  const requests = api.answered - answeredAt - others;
  Object.assign(api.rate, { limit: 10_000_000 });
  const flaws = await world.flaws();
  const summary = {
    what: '`lockkeeper rotate fleet` over simulated devices, one Mosquitto, the API of the sandbox',
    node: process.version,
    date: new Date().toISOString(),
    devices,
    apiLimitAMinute: limit === 0 ? null : limit,
    exitCode: code,
    done: report['done'],
    failed: report['failed'],
    unfinished: report['unfinished'],
    skipped: report['skipped'],
    proved: report['proved'],
    tookS: Math.round(tookS),
    devicesAMinute: Math.round((devices / tookS) * 60),
    apiRequests: requests,
    apiRequestsADevice: Number((requests / devices).toFixed(2)),
    ...(limit === 0
      ? {}
      : { requestsOfTheOtherClient: others, callsInTheBusiestMinute: mostInAMinute.value }),
    commandLine: { cpuS: Math.round(cliCpuS), peakMemoryMb: Math.round(memoryKb / 1024) },
    broker: { cpuS: Number(((await cpuS(broker.child.pid ?? 0)) - brokerBefore).toFixed(1)) },
    flaws: flaws.slice(0, 5),
    errors: stderr.slice(0, 500),
  };
  say(JSON.stringify(summary, null, 2));
  const name = limit === 0 ? 'rotate-scale.json' : 'rotate-rate-limit.json';
  await writeFile(
    fileURLToPath(new URL(`results/${name}`, import.meta.url)),
    `${JSON.stringify(summary, null, 2)}\n`,
  );
  process.exitCode = code === 0 && flaws.length === 0 ? 0 : 1;
  await rm(desk.dir, { recursive: true, force: true });
} finally {
  await world.close();
  broker.child.kill('SIGTERM');
  await rm(dir, { recursive: true, force: true });
}
