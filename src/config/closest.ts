/** Guesses which name somebody meant. */

/** Insertions, deletions and replacements that lead from one text to the other. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, charA] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, charB] of [...b].entries()) {
      const replace = (row[j] ?? 0) + (charA === charB ? 0 : 1);
      next.push(Math.min(replace, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
};

/** Two letters that changed places are two edits; in a very short name that would be another name. */
const farthest = (name: string): number => (name.length < 4 ? 1 : Math.max(2, Math.floor(name.length / 3)));

/** The candidate nearest to `word`, letter case aside; null when none is near enough to be meant. */
export const closest = (word: string, candidates: readonly string[]): string | null => {
  const lower = word.toLowerCase().slice(0, 80);
  let best: { readonly name: string; readonly far: number } | null = null;
  for (const name of candidates) {
    const far = distance(lower, name.toLowerCase());
    if (far <= farthest(name) && (best === null || far < best.far)) best = { name, far };
  }
  return best?.name ?? null;
};
