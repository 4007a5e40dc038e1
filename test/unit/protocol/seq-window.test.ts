import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { acceptSeq, isSeqWindow, SEQ_WINDOW_SIZE, type SeqWindow } from '../../../src/protocol/seq-window.ts';

/** Feeds numbers in order, storing the window as JSON between any two; which were accepted. */
const feed = (numbers: readonly number[]): readonly boolean[] => {
  let window: SeqWindow | undefined;
  return numbers.map((seq) => {
    const next = acceptSeq(window, seq);
    if (next !== undefined) window = JSON.parse(JSON.stringify(next)) as SeqWindow;
    return next !== undefined;
  });
};

describe('sequence window', () => {
  it('never accepts a number twice, whatever comes in between', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 400 }), (numbers) => {
        const accepted = numbers.filter(
          (
            (results) => (_: number, at: number) =>
              results[at]
          )(feed(numbers)),
        );
        expect(new Set(accepted).size).toBe(accepted.length);
      }),
    );
  });

  it('accepts every number once in any order that stays within the window', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 100 }),
        fc.shuffledSubarray([...Array(SEQ_WINDOW_SIZE).keys()], { minLength: 1 }),
        (base, order) => {
          const numbers = order.map((offset) => base + offset);
          expect(feed(numbers)).toEqual(numbers.map(() => true));
          expect(feed([...numbers, ...numbers]).slice(numbers.length)).toEqual(numbers.map(() => false));
        },
      ),
    );
  });

  it('agrees with a model that remembers everything', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 200 }), (numbers) => {
        const used = new Set<number>();
        let top = -1;
        const expected = numbers.map((seq) => {
          const isGood = !used.has(seq) && (top === -1 || seq > top - SEQ_WINDOW_SIZE);
          if (isGood) used.add(seq);
          if (isGood) top = Math.max(top, seq);
          return isGood;
        });
        expect(feed(numbers)).toEqual(expected);
      }),
    );
  });

  it('keeps a stored form that it knows again', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(500), { minLength: 1 }), (numbers) => {
        const window = numbers.reduce<SeqWindow | undefined>((w, seq) => acceptSeq(w, seq) ?? w, undefined);
        expect(isSeqWindow(JSON.parse(JSON.stringify(window)))).toBe(true);
      }),
    );
    for (const bad of [null, {}, { top: 1.5, bits: '1' }, { top: 1, bits: '' }, { top: 1, bits: '0x1' }]) {
      expect(isSeqWindow(bad)).toBe(false);
    }
  });
});
