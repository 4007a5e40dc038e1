/**
 * Kills `lockkeeper rotate` with SIGKILL at random points, time and again, over small fleets with a flaky API, and
 * proves that `--resume` leaves every device with exactly one credential: the one that it runs on.
 *
 * node build.ts && node bench/rotate-kills.ts [SEEDS] [FIRST-SEED] [BUNDLE]
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type FleetWorld, startFleetWorld, TENANT } from '../test/support/fleet-world.ts';

/** A small generator, so that a seed gives the same kills again (as far as a clock can). */
const randomOf = (seed: number): (() => number) => {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
};

const DEVICES = 4;
const SWAP_MAX_MS = 60;

export interface KillRun {
  readonly seed: number;
  readonly kills: number;
  /** What the audit log has of this seed. */
  readonly mints: number;
  readonly deletes: number;
  /** Most credentials that a device had after a kill. */
  readonly mostCredentials: number;
  readonly flaws: readonly string[];
  readonly resumes: number;
}

export interface KillDesk {
  readonly world: FleetWorld;
  readonly dir: string;
  /** Command line to run, before its arguments. */
  readonly program: readonly string[];
}

/** Files of an operator for the world's broker and API. */
export const makeDesk = async (world: FleetWorld, program: readonly string[]): Promise<KillDesk> => {
  const dir = await mkdtemp(join(tmpdir(), 'lockkeeper-kills-'));
  const { line } = world.sandbox;
  await writeFile(join(dir, 'api-key'), line.api.key, { mode: 0o600 });
  await writeFile(
    join(dir, 'profile.json'),
    JSON.stringify({
      tenant: TENANT,
      mqtt: { url: line.broker.url },
      trust: 'broker',
      devicesDir: 'devices',
      auditFile: 'audit.jsonl',
      api: { url: line.api.url, keyFile: 'api-key' },
    }),
    { mode: 0o600 },
  );
  return { world, dir, program };
};

interface Ended {
  readonly code: number | null;
  readonly killed: boolean;
  readonly text: string;
}

/** Runs the command line; kills it after `killMs`, if that is not null. */
const run = ({ dir, program }: KillDesk, args: readonly string[], killMs: number | null): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const [file = '', ...before] = program;
    const child = spawn(file, [...before, ...args, '--api-rate', '0'], {
      env: { ...process.env, LOCKKEEPER_PROFILE: join(dir, 'profile.json'), XDG_STATE_HOME: dir },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    const timer = killMs === null ? undefined : setTimeout(() => child.kill('SIGKILL'), killMs);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, killed: signal === 'SIGKILL', text });
    });
  });

const countOf = (audit: string, what: string): number => audit.split(`"what":"${what}"`).length - 1;

const readAudit = (dir: string): Promise<string> =>
  readFile(join(dir, 'audit.jsonl'), 'utf8').catch(() => '');

/** One seed: a rotation that is killed, a few `--resume` that are killed too, one that is let through. */
export const runSeed = async (desk: KillDesk, seed: number, wholeMs: number): Promise<KillRun> => {
  const { world, dir } = desk;
  const random = randomOf(seed);
  const { faults } = world.sandbox.api;
  const before = await readAudit(dir);
  let kills = 0;
  let mostCredentials = 1;
  const rounds = 1 + Math.floor(random() * 3);
  for (let round = 0; round < rounds; round += 1) {
    faults.dropEvery = random() < 0.3 ? 5 + Math.floor(random() * 5) : 0;
    faults.dropNext = random() < 0.2 ? 1 : 0;
    const args = [
      'rotate',
      'fleet',
      '--timeout',
      '5s',
      '--waves',
      '1,100%',
      ...(round === 0 ? [] : ['--resume']),
    ];
    // Starting up takes about a third; a kill before the first request would try nothing.
    const { killed } = await run(desk, args, wholeMs * (0.25 + random() * 0.8));
    if (killed) kills += 1;
    faults.dropEvery = 0;
    faults.dropNext = 0;
    const listed = await world.api.credentials.list();
    if (!listed.ok) throw new Error(listed.fault.message);
    for (const id of world.swarm.devices.keys()) {
      const own = listed.value.filter(({ metadata }) => metadata.includes(`"${id}"`)).length;
      mostCredentials = Math.max(mostCredentials, own);
    }
  }
  let resumes = 0;
  let last: Ended;
  do {
    resumes += 1;
    last = await run(desk, ['rotate', 'fleet', '--resume', '--timeout', '5s', '--waves', '100%'], null);
  } while (last.code !== 0 && resumes < 3);
  await world.swarm.idle();
  const flaws = [
    ...(await world.flaws()),
    ...(last.code === 0 ? [] : [`--resume ended ${last.code}: ${last.text}`]),
  ];
  const audit = (await readAudit(dir)).slice(before.length);
  return {
    seed,
    kills,
    mints: countOf(audit, 'mint'),
    deletes: countOf(audit, 'delete'),
    mostCredentials,
    flaws,
    resumes,
  };
};

/** The world and desk of a row of seeds, and how long an undisturbed rotation takes. */
export const openKills = async (
  program: readonly string[],
): Promise<{ readonly desk: KillDesk; readonly wholeMs: number; close(): Promise<void> }> => {
  const random = randomOf(1);
  const world = await startFleetWorld({ swapMs: () => random() * SWAP_MAX_MS });
  await world.enroll(DEVICES);
  const desk = await makeDesk(world, program);
  const startMs = performance.now();
  const first = await run(desk, ['rotate', 'fleet', '--waves', '1,100%'], null);
  if (first.code !== 0) throw new Error(first.text);
  return {
    desk,
    wholeMs: performance.now() - startMs,
    async close() {
      await world.close();
      await rm(desk.dir, { recursive: true, force: true });
    },
  };
};

const main = async (): Promise<void> => {
  const seeds = Number(process.argv[2] ?? 500);
  const from = Number(process.argv[3] ?? 1);
  const bundle = process.argv[4] ?? fileURLToPath(new URL('../dist/lockkeeper.js', import.meta.url));
  const { desk, wholeMs, close } = await openKills([process.execPath, bundle]);
  const runs: KillRun[] = [];
  const startMs = performance.now();
  try {
    for (let seed = from; seed < from + seeds; seed += 1) {
      const result = await runSeed(desk, seed, wholeMs);
      runs.push(result);
      if (result.flaws.length > 0) process.stdout.write(`seed ${seed}: ${result.flaws.join('; ')}\n`);
      if (seed % 25 === 0) process.stdout.write(`${runs.length} of ${seeds}\n`);
      await delay(0);
    }
  } finally {
    await close();
  }
  const sum = (of: (one: KillRun) => number): number => runs.reduce((total, one) => total + of(one), 0);
  const summary = {
    what: 'SIGKILL of `lockkeeper rotate fleet` at random points, then --resume',
    node: process.version,
    date: new Date().toISOString(),
    devices: DEVICES,
    seeds: runs.length,
    undisturbedMs: Math.round(wholeMs),
    minutes: Number(((performance.now() - startMs) / 60_000).toFixed(1)),
    kills: sum((one) => one.kills),
    mints: sum((one) => one.mints),
    deletes: sum((one) => one.deletes),
    mostCredentialsOfADevice: Math.max(...runs.map((one) => one.mostCredentials)),
    seedsWithLeftovers: runs.filter((one) => one.mostCredentials > 1).length,
    resumesBeyondTheFirst: sum((one) => one.resumes - 1),
    flaws: runs.flatMap((one) => one.flaws.map((flaw) => ({ seed: one.seed, flaw }))),
  };
  await writeFile(
    fileURLToPath(new URL('results/rotate-kills.json', import.meta.url)),
    `${JSON.stringify(summary, null, 2)}\n`,
  );
  process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
  process.exitCode = summary.flaws.length === 0 ? 0 : 1;
};

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
