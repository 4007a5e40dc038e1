/**
 * Reads JSON from a stranger. What `JSON.parse` forgives is refused here: bytes that are not UTF-8, two members of
 * one name (two readers could see two messages), deep nesting, `__proto__`.
 */

/** Why a text was refused. */
export type JsonProblem = 'too-big' | 'utf-8' | 'syntax' | 'depth' | 'duplicate-key' | 'proto-key';

export type JsonReading =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: JsonProblem };

/** Arrays and objects inside one another, the outermost counted. */
export const MAX_JSON_DEPTH = 8;
/** Largest payload that is read at all, in bytes. */
export const MAX_PAYLOAD_BYTES = 65_536;

// `ignoreBOM` keeps a byte order mark in the text, where the grammar refuses it.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decodes UTF-8; undefined when the bytes are not that. */
export const decodeUtf8 = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
};

const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const COLON = 0x3a;

/** Index just after the string that begins at `start`; the text's length when it never ends. */
const endOfString = (text: string, start: number): number => {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at++;
    else if (code === QUOTE) return at + 1;
  }
  return text.length;
};

const isBlank = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;

const isFollowedByColon = (text: string, from: number): boolean => {
  let at = from;
  while (isBlank(text.charCodeAt(at))) at++;
  return text.charCodeAt(at) === COLON;
};

/** The key as `JSON.parse` would read it: escapes must not hide a repetition. */
const unescapeKey = (raw: string): string =>
  raw.includes('\\') ? String(JSON.parse(raw)) : raw.slice(1, -1);

/** Finds depth, repeated keys and `__proto__` in a text that the grammar has accepted. */
const findProblem = (text: string): JsonProblem | undefined => {
  /** One set of seen keys for each open object, null for each open array. */
  const open: (Set<string> | null)[] = [];
  for (let at = 0; at < text.length; ) {
    const char = text[at];
    if (char === '"') {
      const end = endOfString(text, at);
      const keys = open.at(-1);
      if (keys && isFollowedByColon(text, end)) {
        const key = unescapeKey(text.slice(at, end));
        if (key === '__proto__') return 'proto-key';
        if (keys.has(key)) return 'duplicate-key';
        keys.add(key);
      }
      at = end;
      continue;
    }
    if (char === '{' || char === '[') {
      if (open.length === MAX_JSON_DEPTH) return 'depth';
      open.push(char === '{' ? new Set() : null);
    } else if (char === '}' || char === ']') {
      open.pop();
    }
    at++;
  }
  return undefined;
};

/** Reads a text that is already decoded. */
export const parseStrictJson = (text: string): JsonReading => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, problem: 'syntax' };
  }
  const problem = findProblem(text);
  return problem === undefined ? { ok: true, value } : { ok: false, problem };
};

/** Reads bytes: length first, then UTF-8, then the grammar, then the rules above. */
export const readStrictJson = (bytes: Uint8Array, maxBytes: number = MAX_PAYLOAD_BYTES): JsonReading => {
  if (bytes.byteLength > maxBytes) return { ok: false, problem: 'too-big' };
  const text = decodeUtf8(bytes);
  return text === undefined ? { ok: false, problem: 'utf-8' } : parseStrictJson(text);
};

/** A plain object, not an array, not null. */
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
