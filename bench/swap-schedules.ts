/**
 * Seeded schedules of commands and faults over the pure core, and swaps cut at each of their moments: power, supervisor,
 * process, edge. Every rule is checked at every step. `npm run bench:swap-schedules -- SCHEDULES SEED`
 */
import fc from 'fast-check';
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
await keepResult('swap-schedules', {
  schedules: SCHEDULES,
  seed: SEED,
  ...totals,
  modelHours: Math.round(totals.modelHours),
  cutSwaps,
  failures: 0,
  tookS: Math.round((performance.now() - startedAt) / 1000),
});
