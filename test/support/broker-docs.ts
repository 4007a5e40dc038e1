import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { REPO_DIR } from './spawn-node.ts';

/** The text of the code block that follows `<!-- tested: NAME -->` on a page below `docs/`. Throws when there is none. */
export const docBlock = async (page: string, name: string): Promise<string> => {
  const text = await readFile(join(REPO_DIR, 'docs', page), 'utf8');
  const [, block] = text.split(`<!-- tested: ${name} -->\n`)[1]?.match(/^```\w*\n([\s\S]*?)^```$/m) ?? [];
  if (block === undefined) throw new Error(`docs/${page} has no block ${name}`);
  return block;
};

/** Puts this machine's paths and ports in the place of the documented ones. Throws when one of them is not there. */
export const adapt = (text: string, replacements: Readonly<Record<string, string>>): string =>
  Object.entries(replacements).reduce((now, [from, to]) => {
    if (!now.includes(from)) throw new Error(`${from} is not in the documented settings:\n${text}`);
    return now.replaceAll(from, to);
  }, text);
