/**
 * Header fields as they stood on the wire: a flat list of name, value, name, value. Order, letter case and duplicates
 * survive, which a map would lose.
 */
export type HeaderList = string[];

/** Each value of the named field, in order. */
export const headerValues = (list: readonly string[], name: string): string[] => {
  const wanted = name.toLowerCase();
  const values: string[] = [];
  for (let at = 0; at + 1 < list.length; at += 2) {
    if (isNamed(list[at], wanted)) values.push(list[at + 1] ?? '');
  }
  return values;
};

/** The first value of the named field; null when it is absent. */
export const headerValue = (list: readonly string[], name: string): string | null => {
  const wanted = name.toLowerCase();
  for (let at = 0; at + 1 < list.length; at += 2) {
    if (isNamed(list[at], wanted)) return list[at + 1] ?? '';
  }
  return null;
};

/** The list without the fields whose lower-case name is in `names`. */
export const withoutHeaders = (list: readonly string[], names: ReadonlySet<string>): HeaderList => {
  const kept: HeaderList = [];
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = list[at] ?? '';
    if (!names.has(name.toLowerCase())) kept.push(name, list[at + 1] ?? '');
  }
  return kept;
};

/** The members of a comma-separated field, lower-cased, over all of its lines. */
export const headerTokens = (list: readonly string[], name: string): string[] =>
  headerValues(list, name)
    .flatMap((value) => value.split(','))
    .map((token) => token.trim().toLowerCase())
    .filter((token) => token !== '');

/** Fields by lower-case name, each with all of its values. */
export const headerMap = (list: readonly string[]): Map<string, string[]> => {
  const map = new Map<string, string[]>();
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = (list[at] ?? '').toLowerCase();
    const values = map.get(name);
    if (values === undefined) map.set(name, [list[at + 1] ?? '']);
    else values.push(list[at + 1] ?? '');
  }
  return map;
};

const isNamed = (candidate: string | undefined, lowerCaseName: string): boolean =>
  candidate !== undefined &&
  candidate.length === lowerCaseName.length &&
  candidate.toLowerCase() === lowerCaseName;
