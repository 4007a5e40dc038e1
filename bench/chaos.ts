/**
 * Kills at random under load: tunnel process, daemon (started again as a service manager would), sessions, edge, broker.
 * Tells how long each took from the kill to the first served request. `npm run bench:chaos -- MINUTES SEED`
 */
import { startLoad, visit } from '../test/support/visitors.ts';
import { keepResult, pause, startLab } from './lab.ts';

const MINUTES = Number(process.argv[2] ?? 10);
let state = Number(process.argv[3] ?? 1);
const random = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};

const KINDS = ['tunnel', 'daemon', 'drop', 'edge', 'broker', 'both'] as const;
type Kind = (typeof KINDS)[number];

const lab = await startLab({ drain: { deadlineS: 5 } });
const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
};
const tunnelPids = async (): Promise<readonly number[]> =>
  lab.status().then(
    (s) => s.tunnels.map((t) => t.pid),
    () => [],
  );

/** Resolves with the milliseconds from the edge's return, or the kill, to the first good answer. */
const strike = async (kind: Kind): Promise<number> => {
  const pids = await tunnelPids();
  if (kind === 'tunnel' || kind === 'both') for (const pid of pids) kill(pid);
  if (kind === 'daemon' || kind === 'both') {
    kill(lab.daemonPid());
    await pause(100);
    await lab.startDaemon();
  }
  if (kind === 'drop') await lab.fault({ op: 'drop', how: random() < 0.5 ? 'fin' : 'rst' });
  if (kind === 'edge') {
    await lab.fault({ op: 'refuse', on: true });
    await lab.fault({ op: 'drop', how: 'rst' });
    await pause(500 + random() * 8000);
    await lab.fault({ op: 'refuse', on: false });
  }
  if (kind === 'broker') {
    await lab.fault({ op: 'broker', on: false });
    await pause(random() * 3000);
    await lab.fault({ op: 'broker', on: true });
  }
  const from = performance.now();
  while ((await visit(lab.device)).status !== 200) await pause(20);
  return Math.round(performance.now() - from);
};

try {
  await lab.startDaemon();
  while ((await visit(lab.device)).status !== 200) await pause(50);
  const load = startLoad(lab.device, 10, () => '/');
  const took: Record<Kind, number[]> = { tunnel: [], daemon: [], drop: [], edge: [], broker: [], both: [] };
  const until = performance.now() + MINUTES * 60_000;
  while (performance.now() < until) {
    const kind = KINDS[Math.floor(random() * KINDS.length)] ?? 'tunnel';
    // Sometimes five in a row, as a crash loop would.
    const times = random() < 0.2 ? 5 : 1;
    for (let i = 0; i < times; i++) {
      took[kind].push(await strike(kind));
      if (times > 1) await pause(200);
    }
    await pause(500 + random() * 4000);
  }
  const { good } = await load.stop();
  const rows = Object.fromEntries(
    Object.entries(took).map(([kind, ms]) => [kind, { times: ms.length, worstMs: Math.max(0, ...ms), ms }]),
  );
  await keepResult('chaos', {
    minutes: MINUTES,
    served: good,
    worstMs: Math.max(...Object.values(took).flat()),
    rows,
  });
} finally {
  await lab.end();
}
