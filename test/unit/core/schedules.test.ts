import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anySchedule, liveThrough } from '../../support/model-schedule.ts';
import { CUTS, liveThroughCut, momentsOf } from '../../support/model-swap.ts';

test('whatever is asked for and whatever fails, what is wanted is served again once the faults have ended', () => {
  fc.assert(
    fc.property(anySchedule(12), (schedule) => {
      liveThrough(schedule);
    }),
    { numRuns: 400, seed: 1 },
  );
});

test.each(['good', 'refused', 'narrow'] as const)(
  'a swap to a %s token that is cut at any of its moments ends clearly, with a token that works and all that is wanted',
  (kind) => {
    const moments = momentsOf(kind, 3);
    expect(moments.length).toBeGreaterThan(5);
    for (const cut of CUTS) for (const afterMs of moments) liveThroughCut({ kind, seed: 3, cut, afterMs });
  },
);
