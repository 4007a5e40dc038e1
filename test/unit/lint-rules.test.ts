import { spawn } from 'node:child_process';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { REPO_DIR } from '../support/spawn-node.ts';
import { tempDir } from '../support/temp-dir.ts';

/** A snippet for each rule that the style rests on and that a change of tools could silence. */
const SNIPPETS: Readonly<Record<string, string>> = {
  'lint/nursery/noFloatingPromises':
    'const work = async (): Promise<void> => {};\nexport const run = (): void => {\n  work();\n};\n',
  'lint/nursery/noMisusedPromises':
    'const isReady = async (): Promise<boolean> => true;\nexport const run = (): number => {\n  if (isReady()) return 1;\n  return 2;\n};\n',
  'lint/nursery/useExhaustiveSwitchCases':
    "export const name = (kind: 'a' | 'b'): string => {\n  switch (kind) {\n    case 'a':\n      return 'A';\n  }\n  return '';\n};\n",
  'lint/suspicious/noExplicitAny': 'export const it = (value: any): unknown => value;\n',
  'lint/style/noNonNullAssertion': 'export const it = (value: string | null): string => value!;\n',
  'lint/style/useImportType':
    "import { Stats } from 'node:fs';\nexport const size = (stats: Stats): number => stats.size;\n",
  'lint/style/noDefaultExport': 'export default 1;\n',
  'lint/style/noEnum': 'export enum Kind {\n  a,\n}\n',
};

const lint = (cwd: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const biome = join(REPO_DIR, 'node_modules/@biomejs/biome/bin/biome');
    const child = spawn(
      process.execPath,
      [biome, 'lint', '--max-diagnostics=none', '--reporter=github', 'src'],
      {
        cwd,
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    child.once('error', reject);
    child.once('close', () => resolve(text));
  });

test('every rule of the style fires on a planted snippet', async () => {
  const dir = await tempDir();
  const settings = JSON.parse(await readFile(join(REPO_DIR, 'biome.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  await writeFile(join(dir, 'biome.json'), JSON.stringify({ ...settings, vcs: { enabled: false } }));
  await cp(join(REPO_DIR, 'tsconfig.json'), join(dir, 'tsconfig.json'));
  await symlink(join(REPO_DIR, 'node_modules'), join(dir, 'node_modules'));
  await mkdir(join(dir, 'src'));
  for (const [rule, text] of Object.entries(SNIPPETS)) {
    await writeFile(join(dir, 'src', `${rule.split('/').at(-1)}.ts`), text);
  }
  const report = await lint(dir);
  const silent = Object.keys(SNIPPETS).filter(
    (rule) =>
      !report
        .split('\n')
        .some(
          (line) =>
            line.startsWith('::error') &&
            line.includes(rule) &&
            line.includes(`${rule.split('/').at(-1)}.ts`),
        ),
  );
  expect(silent).toEqual([]);
});
