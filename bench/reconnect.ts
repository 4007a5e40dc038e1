/** Back on line after an outage of the edge: the daemon beside the bare SDK, in one run. `npm run bench:reconnect` */
import { type Door, visit } from '../test/support/visitors.ts';
import { keepResult, pause, startLab } from './lab.ts';

const OUTAGES_S = (process.argv[2] ?? '3,30,300').split(',').map(Number);
/** The bare SDK's third wait is 125 s and its fourth 104 min: it is not waited for longer than this. */
const GIVE_UP_MS = 150_000;
const LOOK_MS = 20;

/** Milliseconds from now to the first good answer; null when there was none in time. */
const firstServed = async (door: Door, giveUpMs: number): Promise<number | null> => {
  const from = performance.now();
  for (;;) {
    const { status } = await visit(door);
    const ms = performance.now() - from;
    if (status === 200) return Math.round(ms);
    if (ms > giveUpMs) return null;
    await pause(LOOK_MS);
  }
};

const lab = await startLab();
try {
  await lab.startDaemon();
  await lab.startBare();
  await firstServed(lab.device, 20_000);
  await firstServed(lab.bare, 20_000);
  const rows = [];
  for (const outageS of OUTAGES_S) {
    await lab.fault({ op: 'refuse', on: true });
    await lab.fault({ op: 'drop', how: 'fin' });
    await pause(outageS * 1000);
    await lab.fault({ op: 'refuse', on: false });
    const [deviceMs, bareMs] = await Promise.all([
      firstServed(lab.device, GIVE_UP_MS),
      firstServed(lab.bare, GIVE_UP_MS),
    ]);
    rows.push({ outageS, deviceMs, bareMs: bareMs ?? `over ${GIVE_UP_MS}` });
    process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
    // The bare SDK may sit in its long wait: a fresh one for the next row.
    if (bareMs === null) {
      await lab.startBare().catch(() => undefined);
      await firstServed(lab.bare, 20_000);
    }
  }
  await keepResult('reconnect', rows);
} finally {
  await lab.end();
}
