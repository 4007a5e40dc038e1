/**
 * Swaps in a row under load: dropped requests, and whether anything grows. `npm run bench:swap -- SWAPS`
 *
 * Two authtokens take turns. Long WebSockets last until the drain deadline cuts them, as the result of each swap says;
 * nothing else may be lost. SIGTERM ends the row after the swap that is running, and what was measured is kept.
 */
import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { startLoad, visit } from '../test/support/visitors.ts';
import { keepResult, pause, processFigures, startLab } from './lab.ts';
import { startWebSockets } from './web-sockets.ts';

const SWAPS = Number(process.argv[2] ?? 1000);
const CLIENTS = 50;
/** Some five hundred requests a second: the machine is to be busy, not full. */
const REST_MS = 100;
const SAMPLES = 40;
/** A long WebSocket that was cut stays away so long: most swaps then end with their last request, not at the deadline. */
const LONG_REST_MS = 20_000;
/** The first swaps fill caches and pools. */
const WARM_UP = 0.2;

interface Sample {
  readonly swap: number;
  readonly daemonRssKb: number;
  readonly daemonPssKb: number;
  readonly daemonFds: number;
  readonly daemonThreads: number;
  readonly tunnelRssKb: number;
  readonly tunnelPssKb: number;
  readonly tunnelFds: number;
  readonly tunnelThreads: number;
  readonly processes: number;
  readonly journalKb: number;
  /** Without the journal, which remembers up to 1,024 commands for a day. */
  readonly stateKb: number;
  readonly stateFiles: number;
}

/** Far more than a brief WebSocket lasts, so that only long ones are cut. */
const DRAIN_S = 2;

const lab = await startLab({ drain: { deadlineS: DRAIN_S } });

/** Processes of this device: those whose command line names its state folder or one of its tunnels. */
const countProcesses = (daemonPid: number): number =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      return Number(pid) === daemonPid || line.includes(lab.stateDir);
    } catch {
      return false;
    }
  }).length;

const sizeKb = (files: readonly Dirent[]): number =>
  Math.round(files.reduce((sum, f) => sum + statSync(join(f.parentPath, f.name)).size, 0) / 1024);

const sample = async (swap: number): Promise<Sample> => {
  const daemon = processFigures(lab.daemonPid());
  const tunnel = processFigures((await lab.status()).tunnels[0]?.pid ?? 0);
  const files = readdirSync(lab.stateDir, { recursive: true, withFileTypes: true }).filter((f) => f.isFile());
  return {
    swap,
    daemonRssKb: daemon.rssKb,
    daemonPssKb: daemon.pssKb,
    daemonFds: daemon.fds,
    daemonThreads: daemon.threads,
    tunnelRssKb: tunnel.rssKb,
    tunnelPssKb: tunnel.pssKb,
    tunnelFds: tunnel.fds,
    tunnelThreads: tunnel.threads,
    processes: countProcesses(lab.daemonPid()),
    journalKb: sizeKb(files.filter((f) => f.name.startsWith('journal.'))),
    stateKb: sizeKb(files.filter((f) => !f.name.startsWith('journal.'))),
    stateFiles: files.length,
  };
};

type Figure = Exclude<keyof Sample, 'swap'>;

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Growth per 1,000 swaps by least squares with its standard error, and the means of the first and the last quarter.
 * Growth that is smaller than twice its error is noise.
 */
const trendOf = (samples: readonly Sample[], figure: Figure) => {
  const tenth = (value: number): number => Math.round(value * 10) / 10;
  const swaps = samples.map((s) => s.swap);
  const values = samples.map((s) => s[figure]);
  const [meanX, meanY] = [mean(swaps), mean(values)];
  const spread = swaps.reduce((sum, x) => sum + (x - meanX) ** 2, 0);
  const slope = swaps.reduce((sum, x, i) => sum + (x - meanX) * ((values[i] ?? 0) - meanY), 0) / spread;
  const rest = swaps.reduce((sum, x, i) => sum + ((values[i] ?? 0) - meanY - slope * (x - meanX)) ** 2, 0);
  const quarter = Math.max(1, Math.floor(values.length / 4));
  return {
    per1000Swaps: tenth(slope * 1000),
    error: tenth(Math.sqrt(rest / Math.max(1, values.length - 2) / spread) * 1000),
    firstQuarter: tenth(mean(values.slice(0, quarter))),
    lastQuarter: tenth(mean(values.slice(-quarter))),
  };
};

const FIGURES: readonly Figure[] = [
  'daemonRssKb',
  'daemonPssKb',
  'daemonFds',
  'daemonThreads',
  'tunnelRssKb',
  'tunnelPssKb',
  'tunnelFds',
  'tunnelThreads',
  'processes',
  'journalKb',
  'stateKb',
  'stateFiles',
];

let isOver = false;
process.once('SIGTERM', () => {
  isOver = true;
});

try {
  const tokens = ['swap-token-one-0123456789abcdef', 'swap-token-two-0123456789abcdef'];
  for (const authtoken of tokens) await lab.fault({ op: 'token', authtoken });
  await lab.startDaemon();
  while ((await visit(lab.device)).status !== 200) await pause(50);
  const load = startLoad(lab.device, CLIENTS, (client) => (client % 10 === 0 ? '/slow/200' : '/'), REST_MS);
  const webSockets = startWebSockets(lab.device, { brief: 5, long: 2, longRestMs: LONG_REST_MS });
  const samples: Sample[] = [];
  const failedSwaps: unknown[] = [];
  const totals = { served: 0, dropped: 0, cut: 0, gapMs: 0, drainMs: 0, worstDrainMs: 0 };
  const startedAt = performance.now();
  let swaps = 0;
  for (let swap = 1; swap <= SWAPS && !isOver; swap++) {
    const end = await lab.cloud.rekey(tokens[swap % 2] ?? '', swap + 1);
    const out = (end.out ?? {}) as Readonly<Record<string, number>>;
    swaps = swap;
    if (end.status !== 'succeeded') failedSwaps.push(end);
    totals.served += out['served'] ?? 0;
    totals.dropped += out['dropped'] ?? 0;
    totals.cut += out['cut'] ?? 0;
    totals.gapMs += out['gap_ms'] ?? 0;
    totals.drainMs += out['drain_ms'] ?? 0;
    totals.worstDrainMs = Math.max(totals.worstDrainMs, out['drain_ms'] ?? 0);
    if (swap % Math.max(1, Math.floor(SWAPS / SAMPLES)) === 0) samples.push(await sample(swap));
    if (swap % 25 === 0)
      process.stderr.write(
        `${swap} swaps, ${load.good()} requests, ${load.bad().length} failed, ${webSockets.failed().length} WebSockets failed\n`,
      );
  }
  const tookS = (performance.now() - startedAt) / 1000;
  await webSockets.stop();
  const { good, bad } = await load.stop();
  const steady = samples.slice(Math.floor(samples.length * WARM_UP));
  await keepResult('swap', {
    swaps,
    clients: CLIENTS,
    failedSwaps,
    secondsPerSwap: Math.round((tookS / swaps) * 100) / 100,
    requests: { good, failed: bad.length, firstFailures: bad.slice(0, 10) },
    webSockets: {
      echoes: webSockets.echoes(),
      briefFailed: webSockets.failed().length,
      firstFailures: webSockets.failed().slice(0, 10),
      longCutAtDeadline: webSockets.reconnects(),
    },
    toldByTheDevice: totals,
    growth: Object.fromEntries(FIGURES.map((figure) => [figure, trendOf(steady, figure)])),
    samples,
  });
} finally {
  await lab.end();
}
