/** Concurrent clients through the metered relay beside the SDK forwarding directly, in turns. `npm run bench:relay` */
import { Agent } from 'node:http';
import { type Door, visit } from '../test/support/visitors.ts';
import { keepResult, processFigures, startLab } from './lab.ts';

const CLIENTS = Number(process.argv[2] ?? 90);
const ROUND_MS = Number(process.argv[3] ?? 6000);
const ROUNDS = 4;

interface Round {
  readonly perSecond: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const at = (sorted: readonly number[], share: number): number =>
  Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 100) / 100;

const measure = async (door: Door, clients: number, ms: number): Promise<Round> => {
  const took: number[] = [];
  let failed = 0;
  const until = performance.now() + ms;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      while (performance.now() < until) {
        const from = performance.now();
        const { status } = await visit(door, '/', agent);
        if (status === 200) took.push(performance.now() - from);
        else failed++;
      }
      agent.destroy();
    }),
  );
  const sorted = took.toSorted((a, b) => a - b);
  return {
    perSecond: Math.round((took.length / ms) * 1000),
    failed,
    p50Ms: at(sorted, 0.5),
    p99Ms: at(sorted, 0.99),
  };
};

const mean = (rounds: readonly Round[], pick: (r: Round) => number): number =>
  rounds.reduce((sum, r) => sum + pick(r), 0) / rounds.length;

const lab = await startLab();
try {
  await lab.startDaemon();
  const barePid = await lab.startBare();
  for (const door of [lab.device, lab.bare]) {
    while ((await visit(door)).status !== 200);
    await measure(door, CLIENTS, 2000);
  }
  const tunnelPid = (await lab.status()).tunnels[0]?.pid ?? 0;
  const cpuOf = { device: 0, bare: 0 };
  const device: Round[] = [];
  const bare: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = processFigures(barePid).cpuMs;
    bare.push(await measure(lab.bare, CLIENTS, ROUND_MS));
    cpuOf.bare += processFigures(barePid).cpuMs - before;
    const start = processFigures(tunnelPid).cpuMs;
    device.push(await measure(lab.device, CLIENTS, ROUND_MS));
    cpuOf.device += processFigures(tunnelPid).cpuMs - start;
  }
  const served = (rounds: readonly Round[]): number =>
    mean(rounds, (r) => r.perSecond) * ((ROUND_MS * ROUNDS) / 1000);
  const [{ p50Ms: seqDevice }, { p50Ms: seqBare }] = [
    await measure(lab.device, 1, 3000),
    await measure(lab.bare, 1, 3000),
  ];
  await keepResult('relay', {
    clients: CLIENTS,
    throughputRatio: mean(device, (r) => r.perSecond) / mean(bare, (r) => r.perSecond),
    addedP50Ms: mean(device, (r) => r.p50Ms) - mean(bare, (r) => r.p50Ms),
    addedP99Ms: mean(device, (r) => r.p99Ms) - mean(bare, (r) => r.p99Ms),
    sequentialP50Ms: { device: seqDevice, bare: seqBare },
    cpuMsPer1000: {
      device: (cpuOf.device / served(device)) * 1000,
      bare: (cpuOf.bare / served(bare)) * 1000,
    },
    memory: {
      tunnel: processFigures(tunnelPid),
      bare: processFigures(barePid),
      daemon: processFigures(lab.daemonPid()),
    },
    device,
    bare,
  });
} finally {
  await lab.end();
}
