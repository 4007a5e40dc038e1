/** Reads the small text files that people write, whatever their editor added. */
import { isAbsolute, join, resolve } from 'node:path';
import { parseJsonText, withoutBom } from './json-text.ts';

/** Reads a file whole; rejects with Node's system errors. */
export type ReadFile = (path: string) => Promise<Uint8Array>;

/** The text, or what is wrong: a phrase that begins with a verb and names the file. */
export type TextFile =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problem: string };

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'cannot be read: permission denied',
  EISDIR: 'is a folder, not a file',
};

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const decode = (path: string, bytes: Uint8Array): TextFile => {
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    return { ok: false, problem: `${path} is UTF-16; save it as UTF-8` };
  }
  try {
    return { ok: true, text: withoutBom(decoder.decode(bytes)) };
  } catch {
    return { ok: false, problem: `${path} is not UTF-8` };
  }
};

/** Reads UTF-8 text, with or without a byte order mark, up to `maxBytes`. */
export const readTextFile = async (readFile: ReadFile, path: string, maxBytes: number): Promise<TextFile> => {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    return { ok: false, problem: `${path} ${REASONS[code] ?? `cannot be read (${code})`}` };
  }
  if (bytes.byteLength > maxBytes) return { ok: false, problem: `${path} is larger than ${maxBytes} bytes` };
  return decode(path, bytes);
};

/** Reads a JSON file; a syntax error names file, line and column. */
export const readJsonFile = async (
  readFile: ReadFile,
  path: string,
  maxBytes: number,
): Promise<
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: string }
> => {
  const file = await readTextFile(readFile, path, maxBytes);
  if (!file.ok) return file;
  const json = parseJsonText(file.text);
  if (json.ok) return json;
  return {
    ok: false,
    problem: `${path} is not JSON: line ${json.line}, column ${json.column}: ${json.problem}`,
  };
};

const CREDENTIAL = 'credential:';

/** True for `credential:NAME`. */
export const isCredentialRef = (ref: string): boolean => ref.startsWith(CREDENTIAL);

/**
 * The path behind a `…File` key: `credential:NAME` is a file in systemd's credentials folder, everything else a path
 * already. Null when there is no such folder or the name would leave it.
 */
export const filePath = (ref: string, credentialsDir: string | undefined): string | null => {
  if (!isCredentialRef(ref)) return ref;
  const name = ref.slice(CREDENTIAL.length);
  return credentialsDir && /^[\w.-]+$/.test(name) && !/^\.+$/.test(name) ? join(credentialsDir, name) : null;
};

/** Makes a path absolute from `baseDir`; references to credentials and empty texts stay. */
export const absolutePath = (ref: string, baseDir: string): string =>
  ref === '' || isCredentialRef(ref) || isAbsolute(ref) ? ref : resolve(baseDir, ref);
