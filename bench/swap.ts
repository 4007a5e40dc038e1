/**
 * Swaps in a row under load: dropped requests, and whether anything grows. `npm run bench:swap -- SWAPS`
 *
 * Two authtokens take turns. Long WebSockets last until the drain deadline cuts them, as the result of each swap says;
 * nothing else may be lost.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { startLoad, visit } from '../test/support/visitors.ts';
import { keepResult, pause, processFigures, startLab } from './lab.ts';
import { startWebSockets } from './web-sockets.ts';

const SWAPS = Number(process.argv[2] ?? 1000);
const CLIENTS = 50;
/** About a thousand requests a second: the machine is to be busy, not full. */
const REST_MS = 50;
const SAMPLES = 40;
/** The first swaps fill caches and pools. */
const WARM_UP = 0.2;

interface Sample {
  readonly swap: number;
  readonly daemonRssKb: number;
  readonly daemonPssKb: number;
  readonly daemonFds: number;
  readonly daemonThreads: number;
  readonly tunnelPssKb: number;
  readonly tunnelFds: number;
  readonly tunnelThreads: number;
  readonly processes: number;
  readonly stateKb: number;
  readonly stateFiles: number;
}

const lab = await startLab({ drain: { deadlineS: 1 } });

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
    tunnelPssKb: tunnel.pssKb,
    tunnelFds: tunnel.fds,
    tunnelThreads: tunnel.threads,
    processes: countProcesses(lab.daemonPid()),
    stateKb: Math.round(files.reduce((sum, f) => sum + statSync(join(f.parentPath, f.name)).size, 0) / 1024),
    stateFiles: files.length,
  };
};

/** Growth per 1,000 swaps by least squares. */
const slope = (samples: readonly Sample[], pick: (s: Sample) => number): number => {
  const n = samples.length;
  const meanX = samples.reduce((sum, s) => sum + s.swap, 0) / n;
  const meanY = samples.reduce((sum, s) => sum + pick(s), 0) / n;
  const up = samples.reduce((sum, s) => sum + (s.swap - meanX) * (pick(s) - meanY), 0);
  const down = samples.reduce((sum, s) => sum + (s.swap - meanX) ** 2, 0);
  return Math.round((up / down) * 1000 * 10) / 10;
};

try {
  const tokens = ['swap-token-one-0123456789abcdef', 'swap-token-two-0123456789abcdef'];
  for (const authtoken of tokens) await lab.fault({ op: 'token', authtoken });
  await lab.startDaemon();
  while ((await visit(lab.device)).status !== 200) await pause(50);
  const load = startLoad(lab.device, CLIENTS, (client) => (client % 10 === 0 ? '/slow/200' : '/'), REST_MS);
  const webSockets = startWebSockets(lab.device, { brief: 5, long: 2 });
  const samples: Sample[] = [];
  const failedSwaps: unknown[] = [];
  const totals = { served: 0, dropped: 0, cut: 0, gapMs: 0, drainMs: 0, worstDrainMs: 0 };
  const startedAt = performance.now();
  for (let swap = 1; swap <= SWAPS; swap++) {
    const end = await lab.cloud.rekey(tokens[swap % 2] ?? '', swap + 1);
    const out = (end.out ?? {}) as Readonly<Record<string, number>>;
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
    swaps: SWAPS,
    clients: CLIENTS,
    failedSwaps,
    secondsPerSwap: Math.round((tookS / SWAPS) * 100) / 100,
    requests: { good, failed: bad.length, firstFailures: bad.slice(0, 10) },
    webSockets: {
      echoes: webSockets.echoes(),
      briefFailed: webSockets.failed().length,
      firstFailures: webSockets.failed().slice(0, 10),
      longCutAtDeadline: webSockets.reconnects(),
    },
    toldByTheDevice: totals,
    growthPer1000Swaps: {
      daemonRssKb: slope(steady, (s) => s.daemonRssKb),
      daemonFds: slope(steady, (s) => s.daemonFds),
      daemonThreads: slope(steady, (s) => s.daemonThreads),
      tunnelPssKb: slope(steady, (s) => s.tunnelPssKb),
      tunnelFds: slope(steady, (s) => s.tunnelFds),
      processes: slope(steady, (s) => s.processes),
      stateKb: slope(steady, (s) => s.stateKb),
      stateFiles: slope(steady, (s) => s.stateFiles),
    },
    samples,
  });
} finally {
  await lab.end();
}
