/**
 * Seeded schedules of commands and faults over the pure core, and swaps cut at each of their moments: power, supervisor,
 * process, edge. Then the whole device, with the real vault and journal: swaps cut at each of their boundaries, which
 * are every system call on the disk, every message and every word between supervisor and process, and as many seeded
 * schedules with several cuts. Every rule is checked at every step. `npm run bench:swap-schedules -- SCHEDULES SEED`
 */
import fc from 'fast-check';
import {
  BESIDE,
  boundariesOf,
  CUT_KINDS,
  cutAt,
  liveThroughCuts,
  SWAP_KINDS,
  scheduleOf,
} from '../test/support/cut-swap.ts';
import { anySchedule, liveThrough } from '../test/support/model-schedule.ts';
import { CUTS, liveThroughCut, momentsOf } from '../test/support/model-swap.ts';
import { keepResult } from './lab.ts';

const SCHEDULES = Number(process.argv[2] ?? 10_000);
const SEED = Number(process.argv[3] ?? 1);
const SWAP_SEEDS = 100;

const startedAt = performance.now();
const totals = { steps: 0, rounds: 0, modelHours: 0, worstServingMs: 0 };
fc.assert(
  fc.property(anySchedule(12), (schedule) => {
    const { steps, rounds, modelMs, servingMs } = liveThrough(schedule);
    totals.steps += steps;
    totals.rounds += rounds;
    totals.modelHours += modelMs / 3_600_000;
    totals.worstServingMs = Math.max(totals.worstServingMs, servingMs);
  }),
  { numRuns: SCHEDULES, seed: SEED },
);
let cutSwaps = 0;
for (let seed = 1; seed <= SWAP_SEEDS; seed++)
  for (const kind of ['good', 'refused', 'narrow'] as const) {
    const moments = momentsOf(kind, seed);
    for (const cut of CUTS)
      for (const afterMs of moments) {
        liveThroughCut({ kind, seed, cut, afterMs });
        cutSwaps += 1;
      }
  }
let boundaries = 0;
for (const kind of SWAP_KINDS)
  for (const beside of BESIDE) {
    const swap = { kind, beside, seed: SEED };
    const { length } = await boundariesOf(swap);
    boundaries += length;
    for (const cut of CUT_KINDS)
      for (let at = 1; at <= length; at++) await liveThroughCuts({ ...swap, cuts: [cutAt(cut, at)] });
  }
const cutKinds = CUT_KINDS.length;
let cutsInSchedules = 0;
for (let seed = SEED; seed < SEED + SCHEDULES; seed++) {
  const schedule = await scheduleOf(seed);
  cutsInSchedules += schedule.cuts.length;
  await liveThroughCuts(schedule);
}
await keepResult('swap-schedules', {
  schedules: SCHEDULES,
  seed: SEED,
  ...totals,
  modelHours: Math.round(totals.modelHours),
  cutSwaps,
  device: { boundaries, cutAtEach: boundaries * cutKinds, schedules: SCHEDULES, cutsInSchedules },
  failures: 0,
  tookS: Math.round((performance.now() - startedAt) / 1000),
});
