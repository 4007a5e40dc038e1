import fc from 'fast-check';
import { expect, test } from 'vitest';
import { diffLines } from '../../../src/fleet/text-diff.ts';

test('shows what stayed, went and came', () => {
  expect(diffLines('a\nb\nc\n', 'a\nx\nc\nd')).toEqual([' a', '-b', '+x', ' c', '+d']);
  expect(diffLines('', 'a')).toEqual(['+a']);
  expect(diffLines('a', '')).toEqual(['-a']);
  expect(diffLines('', '')).toEqual([]);
});

test('both texts can be read back from it', () => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 12 });
  fc.assert(
    fc.property(lines, lines, (from, to) => {
      const diff = diffLines(from.join('\n'), to.join('\n'));
      const side = (mark: string) =>
        diff.filter((line) => line.startsWith(' ') || line.startsWith(mark)).map((line) => line.slice(1));
      expect(side('-')).toEqual(from);
      expect(side('+')).toEqual(to);
    }),
  );
});
