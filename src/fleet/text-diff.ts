/** The difference of two texts by lines, for people: ` same`, `-gone`, `+new`. */

const LONGEST = 2000;

const linesOf = (text: string): readonly string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'));

/** Lengths of the longest common part of every pair of tails. */
const commonTails = (a: readonly string[], b: readonly string[]): Uint32Array[] => {
  const table = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const row = table[i] ?? new Uint32Array();
      row[j] =
        a[i] === b[j]
          ? (table[i + 1]?.[j + 1] ?? 0) + 1
          : Math.max(table[i + 1]?.[j] ?? 0, table[i]?.[j + 1] ?? 0);
    }
  return table;
};

/** Every line with its mark. Texts that are very long are shown as replaced whole. */
export const diffLines = (from: string, to: string): readonly string[] => {
  const a = linesOf(from);
  const b = linesOf(to);
  if (a.length > LONGEST || b.length > LONGEST) return [...a.map((l) => `-${l}`), ...b.map((l) => `+${l}`)];
  const table = commonTails(a, b);
  const out: string[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      out.push(` ${a[i] ?? ''}`);
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && (table[i + 1]?.[j] ?? 0) >= (table[i]?.[j + 1] ?? 0))) {
      out.push(`-${a[i] ?? ''}`);
      i += 1;
    } else {
      out.push(`+${b[j] ?? ''}`);
      j += 1;
    }
  }
  return out;
};
