/** Files that are themselves mount points: they cannot be replaced by a rename, which is how state is written. */
import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

/** mountinfo writes blanks, tabs, line ends and backslashes in octal. */
const unescapeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** Mount points directly inside `dir`, by the text of `/proc/self/mountinfo`. */
export const mountPointsIn = (dir: string, mountinfo: string): readonly string[] =>
  mountinfo
    .split('\n')
    .map((line) => unescapeOctal(line.split(' ')[4] ?? ''))
    .filter((path) => path !== '/' && dirname(path) === dir)
    .map((path) => basename(path));

/** Names directly inside `dir` that are mount points; none where the system does not tell. */
export const mountedNamesIn = async (dir: string): Promise<readonly string[]> => {
  try {
    return mountPointsIn(await realpath(dir), await readFile('/proc/self/mountinfo', 'utf8'));
  } catch {
    return [];
  }
};
