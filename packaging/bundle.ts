/** Bundles the four programs: one file each, with the modules that have native parts left outside. */
import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

/** Bundle by entry. The supervisor looks for `tunnel-process.js` beside itself. */
const PROGRAMS = {
  lockkeeperd: 'src/lockkeeperd.ts',
  lockkeeper: 'src/lockkeeper.ts',
  'tunnel-process': 'src/tunnel/process.ts',
  sandbox: 'src/sandbox/main.ts',
} as const;

/** Loaded from `node_modules` at run time: native code. */
const EXTERNAL = ['@ngrok/ngrok', 'koffi', 'bufferutil', 'utf-8-validate'];

// Packages in the older module form call `require` and look for their folder; a bundle in the newer form has neither.
const BANNER = `#!/usr/bin/env node
import { createRequire as __createRequire } from 'node:module';
import { dirname as __dirnameOf } from 'node:path';
import { fileURLToPath as __fileURLToPath } from 'node:url';
const require = __createRequire(import.meta.url);
const __filename = __fileURLToPath(import.meta.url);
const __dirname = __dirnameOf(__filename);`;

const root = fileURLToPath(new URL('..', import.meta.url));

/** Of package.json the bundles need what `src/core/version.ts` reads, not the lists of scripts and tools. */
const manifestPlugin = (version: string | undefined): Plugin => ({
  name: 'manifest',
  setup({ onLoad }) {
    onLoad({ filter: /\/package\.json$/ }, async ({ path }) => {
      if (path !== `${root}package.json`) return undefined;
      const { default: manifest } = (await import(path, { with: { type: 'json' } })) as {
        readonly default: {
          readonly version: string;
          readonly dependencies: Readonly<Record<string, string>>;
        };
      };
      const { dependencies } = manifest;
      const kept = {
        version: version ?? manifest.version,
        dependencies: { '@ngrok/ngrok': dependencies['@ngrok/ngrok'] },
      };
      return { loader: 'json', contents: JSON.stringify(kept) };
    });
  },
});

/** An entry's own first line for the shell would come before the banner, which has one for every program. */
const shebangPlugin: Plugin = {
  name: 'shebang',
  setup({ onLoad }) {
    const entries: readonly string[] = Object.values(PROGRAMS).map((entry) => root + entry);
    onLoad({ filter: /\.ts$/ }, async ({ path }) =>
      entries.includes(path)
        ? { loader: 'ts', contents: (await readFile(path, 'utf8')).replace(/^#!.*/, '') }
        : undefined,
    );
  },
};

/** One letter outside ASCII, and the whole source takes two bytes a letter in memory. */
const toAscii = async (file: string): Promise<void> => {
  const text = await readFile(file, 'utf8');
  const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  await writeFile(file, text.replace(/[^\0-\x7f]/g, escaped));
};

export interface BundleOptions {
  /** Emptied first. */
  readonly outDir: string;
  /** Version that the programs tell instead of package.json's. */
  readonly version?: string;
}

/** Writes the bundles with their maps and licences. Resolves with their names and sizes in bytes. */
export const bundle = async ({
  outDir,
  version,
}: BundleOptions): Promise<readonly { readonly file: string; readonly bytes: number }[]> => {
  await rm(outDir, { recursive: true, force: true });
  await build({
    absWorkingDir: root,
    entryPoints: Object.entries(PROGRAMS).map(([out, entry]) => ({ in: entry, out })),
    outdir: outDir,
    bundle: true,
    platform: 'node',
    // What `engines` promises; the packages bring the newer one.
    target: 'node24',
    format: 'esm',
    external: EXTERNAL,
    // Names stay, for the sake of stack traces. Source text stays in memory for as long as the program runs.
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: 'external',
    legalComments: 'linked',
    banner: { js: BANNER },
    plugins: [manifestPlugin(version), shebangPlugin],
    logLevel: 'warning',
  });
  return Promise.all(
    Object.keys(PROGRAMS).map(async (out) => {
      const path = join(outDir, `${out}.js`);
      await toAscii(path);
      await chmod(path, 0o755);
      return { file: `${out}.js`, bytes: (await stat(path)).size };
    }),
  );
};
