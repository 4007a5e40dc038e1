import { expect, test } from 'vitest';
import {
  BESIDE,
  boundariesOf,
  CUT_KINDS,
  cutAt,
  liveThroughCuts,
  SWAP_KINDS,
  scheduleOf,
} from '../../support/cut-swap.ts';

/** The benchmark takes every boundary; here each kind of cut takes some, spread over all of them. */
const STRIDE = 17;

test.each(SWAP_KINDS.flatMap((kind) => BESIDE.map((beside) => ({ kind, beside }))))(
  'a swap ($kind, beside it: $beside) that is cut at a boundary ends with a token that works, all that is wanted, and the truth told',
  async ({ kind, beside }) => {
    const swap = { kind, beside, seed: 3 };
    const boundaries = await boundariesOf(swap);
    expect(boundaries.length).toBeGreaterThan(60);
    for (const what of ['fsync', 'rename', 'publication', 'acknowledgement', 'start', 'tells'])
      expect(boundaries.filter((name) => name.includes(what)).length, what).toBeGreaterThan(0);
    for (const [offset, cut] of CUT_KINDS.entries())
      for (let at = 1 + offset * 3; at <= boundaries.length; at += STRIDE)
        await liveThroughCuts({ ...swap, cuts: [cutAt(cut, at)] });
  },
);

test('so does one that is cut several times, also while it recovers', async () => {
  for (let seed = 1; seed <= 60; seed++) await liveThroughCuts(await scheduleOf(seed));
});
