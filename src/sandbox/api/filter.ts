/**
 * The part of the `filter` language that the stand-in knows: `obj.field == literal`, joined by `&&`. Anything else is
 * refused (ERR_NGROK_250) instead of being half understood.
 */

type Literal = string | number | boolean | null;
type Test = { readonly path: readonly string[]; readonly literal: Literal };
export type Filter = (item: Readonly<Record<string, unknown>>) => boolean;

const TERM =
  /^\s*obj\.([a-z_]+(?:\.[a-z_]+)*)\s*==\s*("(?:[^"\\]|\\["\\])*"|'(?:[^'\\]|\\['\\])*'|-?\d+(?:\.\d+)?|true|false|null)\s*/;

const literalOf = (text: string): Literal => {
  if (text.startsWith('"') || text.startsWith("'")) return text.slice(1, -1).replaceAll(/\\(.)/g, '$1');
  return JSON.parse(text) as Literal;
};

const valueAt = (item: unknown, path: readonly string[]): unknown => {
  let value = item;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
};

/** Null when the text is not of the known form or names a field that the resource does not let be filtered. */
export const parseFilter = (text: string, fields: readonly string[]): Filter | null => {
  const tests: Test[] = [];
  let rest = text;
  for (;;) {
    const match = TERM.exec(rest);
    const [whole = '', field = '', literal = ''] = match ?? [];
    const isKnown = fields.some((name) => field === name || field.startsWith(`${name}.`));
    if (!match || !isKnown) return null;
    tests.push({ path: field.split('.'), literal: literalOf(literal) });
    rest = rest.slice(whole.length);
    if (rest === '') break;
    if (!rest.startsWith('&&')) return null;
    rest = rest.slice(2);
  }
  return (item) => tests.every(({ path, literal }) => (valueAt(item, path) ?? null) === literal);
};
