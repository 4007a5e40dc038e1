/** JSON files written by people: byte order mark and CRLF taken, everything else strict, errors with line and column. */

/** A value, or what is wrong and where (both counted from 1). */
export type JsonText =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly line: number; readonly column: number; readonly problem: string };

/** Takes a leading UTF-8 byte order mark away. */
export const withoutBom = (text: string): string => (text.startsWith('\uFEFF') ? text.slice(1) : text);

class Stop extends Error {
  readonly at: number;
  constructor(at: number, problem: string) {
    super(problem);
    this.at = at;
  }
}

const MAX_DEPTH = 32;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// JSON forbids control characters inside a string.
const CHARACTERS = '(?:[^"\\\\\\u0000-\\u001f]|\\\\(?:["\\\\/bfnrt]|u[0-9a-fA-F]{4}))*';
const STRING = new RegExp(`"${CHARACTERS}"`, 'y');
const STRING_SO_FAR = new RegExp(`"${CHARACTERS}`, 'y');

/**
 * Walks the grammar without building values: `JSON.parse` does not tell where it stopped, and keeps the last of two
 * members of one name without a word.
 */
class Scanner {
  readonly #text: string;
  #at = 0;
  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    this.#value(0);
    this.#blank();
    if (this.#at < this.#text.length) this.#stop('there is something after the end of the JSON value');
  }

  #stop(problem: string, at = this.#at): never {
    throw new Stop(at, at >= this.#text.length ? 'the file ends too early' : problem);
  }

  #blank(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#at++;
  }

  #take(char: string): boolean {
    this.#blank();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? null;
    if (found !== null) this.#at += found.length;
    return found;
  }

  #value(depth: number): void {
    if (depth > MAX_DEPTH) this.#stop('it is nested too deeply');
    if (this.#take('{')) this.#members(depth);
    else if (this.#take('[')) this.#items(depth);
    else this.#scalar();
  }

  #scalar(): void {
    const rest = this.#text.slice(this.#at, this.#at + 5);
    const word = ['true', 'false', 'null'].find((candidate) => rest.startsWith(candidate));
    if (word !== undefined) this.#at += word.length;
    else if (rest.startsWith('"')) this.#string();
    else if (this.#match(NUMBER) === null) this.#stop(`a value was expected, not ${shown(rest)}`);
  }

  #string(): string {
    const found = this.#match(STRING);
    if (found !== null) return found;
    if (this.#text[this.#at] !== '"') {
      this.#stop(`a name in double quotes was expected, not ${shown(this.#text.slice(this.#at))}`);
    }
    this.#match(STRING_SO_FAR);
    return this.#stop(
      this.#text[this.#at] === '\\'
        ? 'a string holds an escape that JSON does not have (write \\\\ for a backslash)'
        : 'a string does not end on its line',
    );
  }

  #items(depth: number): void {
    if (this.#take(']')) return;
    do this.#value(depth + 1);
    while (this.#take(','));
    if (!this.#take(']')) this.#stop(`, or ] was expected, not ${shown(this.#text.slice(this.#at))}`);
  }

  #members(depth: number): void {
    if (this.#take('}')) return;
    const names = new Set<string>();
    do {
      this.#blank();
      const start = this.#at;
      const name = String(JSON.parse(this.#string()));
      if (names.has(name)) this.#stop('a name stands twice in the same object', start);
      names.add(name);
      if (!this.#take(':')) this.#stop(`: was expected, not ${shown(this.#text.slice(this.#at))}`);
      this.#value(depth + 1);
    } while (this.#take(','));
    if (!this.#take('}')) this.#stop(`, or } was expected, not ${shown(this.#text.slice(this.#at))}`);
  }
}

/** One character of the text, fit for a message. A secret's first character is no secret. */
const shown = (rest: string): string => {
  const char = rest.charAt(0);
  return char > ' ' && char < '\u007f' ? char : 'a special character';
};

/** Reads JSON text. Values never appear in the problem, so a broken file cannot leak what it holds. */
export const parseJsonText = (written: string): JsonText => {
  const text = withoutBom(written);
  try {
    new Scanner(text).document();
    return { ok: true, value: JSON.parse(text) };
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    const before = text.slice(0, error.at).split(/\r\n|\r|\n/);
    return {
      ok: false,
      line: before.length,
      column: (before.at(-1) ?? '').length + 1,
      problem: error.message,
    };
  }
};
