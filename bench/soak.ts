/**
 * A device with one endpoint, left alone but for a request every ten seconds: what it costs and whether anything grows.
 * `npm run soak -- --minutes 60`
 *
 * The first minute is warm-up. Child processes are counted by their pids, looked for ten times a second; bytes written are
 * those the kernel sent to storage for the daemon and its tunnel process.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { visit } from '../test/support/visitors.ts';
import { keepResult, pause, processFigures, startLab } from './lab.ts';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } });
const MINUTES = Number(values.minutes);
const SAMPLE_MS = 10_000;
const WARM_UP_MS = 60_000;
const CHILD_LOOK_MS = 100;

interface Sample {
  readonly hours: number;
  readonly pssKb: number;
  readonly daemonRssKb: number;
  readonly tunnelRssKb: number;
  readonly fds: number;
  readonly threads: number;
}

const writtenBytes = (pid: number): number =>
  Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);

const childrenOf = (pid: number): readonly string[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    try {
      return readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean);
    } catch {
      return [];
    }
  });

/** Growth per hour by least squares. */
const slope = (samples: readonly Sample[], pick: (s: Sample) => number): number => {
  const n = samples.length;
  const meanX = samples.reduce((sum, s) => sum + s.hours, 0) / n;
  const meanY = samples.reduce((sum, s) => sum + pick(s), 0) / n;
  const up = samples.reduce((sum, s) => sum + (s.hours - meanX) * (pick(s) - meanY), 0);
  return Math.round(up / samples.reduce((sum, s) => sum + (s.hours - meanX) ** 2, 0));
};

const lab = await startLab({ log: { level: 'info' } });
try {
  await lab.startDaemon();
  while ((await visit(lab.device)).status !== 200) await pause(50);
  await pause(WARM_UP_MS);
  const daemonPid = lab.daemonPid();
  const tunnelPid = (await lab.status()).tunnels[0]?.pid ?? 0;
  const children = new Set<string>();
  const looking = setInterval(() => {
    for (const pid of childrenOf(daemonPid)) if (pid !== String(tunnelPid)) children.add(pid);
    for (const pid of childrenOf(tunnelPid)) children.add(pid);
  }, CHILD_LOOK_MS);
  const startedAt = performance.now();
  const cpuOf = (): number => processFigures(daemonPid).cpuMs + processFigures(tunnelPid).cpuMs;
  const diskOf = (): number => writtenBytes(daemonPid) + writtenBytes(tunnelPid);
  const cpuBefore = cpuOf();
  const diskBefore = diskOf();
  const samples: Sample[] = [];
  let failed = 0;
  while (performance.now() - startedAt < MINUTES * 60_000) {
    await pause(SAMPLE_MS);
    if ((await visit(lab.device)).status !== 200) failed += 1;
    const daemon = processFigures(daemonPid);
    const tunnel = processFigures(tunnelPid);
    samples.push({
      hours: (performance.now() - startedAt) / 3_600_000,
      pssKb: daemon.pssKb + tunnel.pssKb,
      daemonRssKb: daemon.rssKb,
      tunnelRssKb: tunnel.rssKb,
      fds: daemon.fds + tunnel.fds,
      threads: daemon.threads + tunnel.threads,
    });
  }
  clearInterval(looking);
  const tookMs = performance.now() - startedAt;
  const isSame = (await lab.status()).tunnels[0]?.pid === tunnelPid;
  const last = samples.at(-1);
  await keepResult('soak', {
    minutes: MINUTES,
    requests: samples.length,
    failed,
    sameTunnelProcess: isSame,
    pssSumMb: Math.round((last?.pssKb ?? 0) / 102.4) / 10,
    cpuPercentOfACore: Math.round(((cpuOf() - cpuBefore) / tookMs) * 100_000) / 1000,
    childProcessesStarted: children.size,
    diskKbPerDay: Math.round(((diskOf() - diskBefore) / 1024 / tookMs) * 86_400_000),
    perHour: {
      pssKb: slope(samples, (s) => s.pssKb),
      daemonRssKb: slope(samples, (s) => s.daemonRssKb),
      tunnelRssKb: slope(samples, (s) => s.tunnelRssKb),
      fds: slope(samples, (s) => s.fds),
      threads: slope(samples, (s) => s.threads),
    },
    first: samples[0],
    last,
  });
} finally {
  await lab.end();
}
