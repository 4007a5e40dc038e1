import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  allAnswered,
  answered,
  closedDuring,
  dueRetries,
  forgetUnwanted,
  type HuntState,
  INITIAL_HUNT,
  planSubscriptions,
  refusedFilters,
} from '../../../src/link/filter-hunt.ts';

/** One connection to a broker that closes on the guilty filters; true when it survives. */
const connect = (
  state: HuntState,
  filters: readonly string[],
  guilty: ReadonlySet<string>,
  now: number,
): { readonly state: HuntState; readonly isUp: boolean } => {
  let next = state;
  for (const batch of planSubscriptions(state, filters)) {
    if (batch.some((f) => guilty.has(f))) return { state: closedDuring(next, batch, now), isUp: false };
    next = answered(
      next,
      batch,
      batch.map(() => 1),
    );
  }
  return { state: allAnswered(next), isUp: true };
};

const rounds = (filters: readonly string[], guilty: ReadonlySet<string>) => {
  let state = INITIAL_HUNT;
  for (let round = 1; round <= 50; round += 1) {
    const next = connect(state, filters, guilty, round);
    state = next.state;
    if (next.isUp) return { round, state };
  }
  return { round: 51, state };
};

test('finds one guilty filter within five rounds, wherever it stands', () => {
  const filters = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];
  for (const bad of filters) {
    const { round, state } = rounds(filters, new Set([bad]));
    expect(round).toBeLessThanOrEqual(5);
    expect(refusedFilters(state)).toEqual([bad]);
  }
});

test('leaves out exactly the guilty filters, in two rounds each', () => {
  const filters = Array.from({ length: 12 }, (_, i) => `f${i}`);
  void fc.assert(
    fc.property(fc.uniqueArray(fc.constantFrom(...filters), { minLength: 1, maxLength: 4 }), (bad) => {
      const { round, state } = rounds(filters, new Set(bad));
      expect(new Set(refusedFilters(state))).toEqual(new Set(bad));
      expect(round).toBeLessThanOrEqual(2 + 2 * bad.length);
    }),
  );
});

test('does not believe a single close, which may be a restart', () => {
  const once = closedDuring(INITIAL_HUNT, ['a'], 0);
  expect(refusedFilters(once)).toEqual([]);
  expect(planSubscriptions(once, ['a', 'b'])).toEqual([['b'], ['a']]);
  const better = connect(once, ['a', 'b'], new Set(), 1);
  expect(better.isUp).toBe(true);
  expect(planSubscriptions(better.state, ['a', 'b'])).toEqual([['a', 'b']]);
});

test('sends at most eight filters in one packet', () => {
  const filters = Array.from({ length: 17 }, (_, i) => `f${i}`);
  expect(planSubscriptions(INITIAL_HUNT, filters).map((b) => b.length)).toEqual([8, 8, 1]);
});

test('tries a closing filter again after ten minutes, then after ever longer waits', () => {
  let state = closedDuring(closedDuring(INITIAL_HUNT, ['a'], 0), ['a'], 0);
  expect(dueRetries(state, 599_999)).toEqual({ due: [], nextAtMs: 600_000 });
  expect(dueRetries(state, 600_000)).toEqual({ due: ['a'], nextAtMs: null });
  state = closedDuring(state, ['a'], 600_000);
  expect(dueRetries(state, 600_000).nextAtMs).toBe(1_800_000);
  for (let i = 0; i < 20; i += 1) state = closedDuring(state, ['a'], 0);
  expect(dueRetries(state, 0).nextAtMs).toBe(6 * 3_600_000);
  expect(refusedFilters(answered(state, ['a'], [1]))).toEqual([]);
});

test('remembers refusals told in the answer, and forgets them when they are over or unwanted', () => {
  const refused = answered(INITIAL_HUNT, ['a', 'b'], [0x87, 1]);
  expect(refused.refused).toEqual({ a: 0x87 });
  expect(planSubscriptions(refused, ['a', 'b'])).toEqual([['a', 'b']]);
  expect(answered(refused, ['a'], [1]).refused).toEqual({});
  expect(forgetUnwanted(refused, ['b']).refused).toEqual({});
});
