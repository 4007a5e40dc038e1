/** From the start of the process to the first served request, bundled, beside the bare SDK. `npm run bench:start -- TIMES` */
import { type Door, visit } from '../test/support/visitors.ts';
import { keepResult, pause, startLab } from './lab.ts';

const TIMES = Number(process.argv[2] ?? 10);

const untilServed = async (door: Door): Promise<void> => {
  while ((await visit(door)).status !== 200) await pause(5);
};

const median = (values: readonly number[]): number =>
  Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0);

const device: number[] = [];
const bare: number[] = [];
for (let time = 0; time < TIMES; time++) {
  const lab = await startLab();
  try {
    let from = performance.now();
    await lab.startBare();
    await untilServed(lab.bare);
    bare.push(performance.now() - from);
    from = performance.now();
    await lab.startDaemon();
    await untilServed(lab.device);
    device.push(performance.now() - from);
  } finally {
    await lab.end();
  }
}
await keepResult('start', {
  times: TIMES,
  medianMs: { device: median(device), bare: median(bare) },
  ratio: Math.round((median(device) / median(bare)) * 100) / 100,
  device: device.map(Math.round),
  bare: bare.map(Math.round),
});
