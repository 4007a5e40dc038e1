/** The installed files of one architecture, as they lie under `/`: programs, their own Node, native modules, unit. */
import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Arch, machineOf } from './arch.ts';
import { bundle } from './bundle.ts';
import { lockedVersion, packageDir } from './npm-package.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const LIB = 'usr/lib/lockkeeper';
const DOC = 'usr/share/doc/lockkeeper';
/** What a device needs; the sandbox is for the bench. */
const PROGRAMS = ['lockkeeperd', 'lockkeeper', 'tunnel-process'];

/** Native files of the tree, by what each is for. */
export const NATIVE = {
  node: `${LIB}/node`,
  ngrok: (arch: Arch) =>
    `${LIB}/node_modules/@ngrok/ngrok-linux-${arch.node}-gnu/ngrok.linux-${arch.node}-gnu.node`,
  koffi: (arch: Arch) =>
    `${LIB}/node_modules/@koromix/koffi-linux-${arch.node}/linux_${arch.node}/koffi.node`,
} as const;

const put = async (dir: string, path: string, text: string, mode = 0o644): Promise<void> => {
  await mkdir(dirname(join(dir, path)), { recursive: true });
  await writeFile(join(dir, path), text);
  await chmod(join(dir, path), mode);
};

const copy = async (from: string, to: string, mode = 0o644): Promise<void> => {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to);
  await chmod(to, mode);
};

const nodeBinary = async (arch: Arch): Promise<string> => {
  const version = await lockedVersion('node');
  if (arch.node === process.arch && process.version === `v${version}`) return process.execPath;
  return join(await packageDir(`node-linux-${arch.node}`, version), 'bin/node');
};

/** Without its symbols Node is a fifth smaller. Left as it is where no tool for the architecture is at hand. */
const strip = async (file: string, arch: Arch): Promise<void> => {
  const triple = arch.node === 'x64' ? 'x86_64' : 'aarch64';
  const tools = [`${triple}-linux-gnu-strip`, ...(arch.node === process.arch ? ['strip'] : [])];
  for (const tool of tools) {
    const isDone = await run(tool, [file]).then(
      () => true,
      () => false,
    );
    if (isDone) return;
  }
};

/** Files of a package by their paths in it, under `node_modules` of the tree. */
const putPackage = async (
  dir: string,
  name: string,
  version: string,
  files: readonly string[],
): Promise<void> => {
  const from = await packageDir(name, version);
  for (const file of ['package.json', ...files])
    await copy(join(from, file), join(dir, LIB, 'node_modules', name, file));
};

const wrapper = (program: string): string => `#!/bin/sh\nexec /${LIB}/node /${LIB}/${program}.js "$@"\n`;

const checkMachine = async (dir: string, arch: Arch): Promise<void> => {
  for (const file of [NATIVE.node, NATIVE.ngrok(arch), NATIVE.koffi(arch)]) {
    const machine = await machineOf(join(dir, file));
    if (machine !== arch.machine)
      throw new Error(`/${file} is not for ${arch.debian} (machine ${machine}, wanted ${arch.machine}).`);
  }
};

/** Loads the native modules with the Node of the tree. Rejects with its words when one cannot be loaded. */
export const loadNative = async (dir: string): Promise<void> => {
  const script = "await import('@ngrok/ngrok'); await import('koffi');";
  await run(join(dir, NATIVE.node), ['--input-type=module', '-e', script], { cwd: join(dir, LIB) });
};

export interface TreeOptions {
  readonly arch: Arch;
  readonly version: string;
  /** Becomes `/`. */
  readonly dir: string;
}

/** Makes the tree. Rejects when a native file is missing, of another architecture, or cannot be loaded. */
export const makeTree = async ({ arch, version, dir }: TreeOptions): Promise<void> => {
  const bundles = join(dir, '.bundles');
  await bundle({ outDir: bundles, version });
  for (const program of PROGRAMS) {
    await copy(join(bundles, `${program}.js`), join(dir, LIB, `${program}.js`));
    const legal = `${program}.js.LEGAL.txt`;
    await copy(join(bundles, legal), join(dir, DOC, legal)).catch(() => undefined);
  }
  await rm(bundles, { recursive: true });
  await put(dir, `${LIB}/package.json`, '{"type":"module"}\n');
  await copy(await nodeBinary(arch), join(dir, NATIVE.node), 0o755);
  await strip(join(dir, NATIVE.node), arch);

  const ngrok = await lockedVersion('@ngrok/ngrok');
  await putPackage(dir, '@ngrok/ngrok', ngrok, ['index.js', 'LICENSE-MIT']);
  await putPackage(dir, `@ngrok/ngrok-linux-${arch.node}-gnu`, ngrok, [`ngrok.linux-${arch.node}-gnu.node`]);
  const koffi = await lockedVersion('koffi');
  await putPackage(dir, 'koffi', koffi, [
    'index.js',
    'src/koffi/index.js',
    'src/koffi/src/static.js',
    'LICENSE.txt',
  ]);
  await putPackage(dir, `@koromix/koffi-linux-${arch.node}`, koffi, [
    'index.js',
    `linux_${arch.node}/koffi.node`,
  ]);

  for (const program of ['lockkeeperd', 'lockkeeper'])
    await put(dir, `usr/bin/${program}`, wrapper(program), 0o755);
  await copy(
    join(root, 'systemd/lockkeeper.service'),
    join(dir, 'usr/lib/systemd/system/lockkeeper.service'),
  );
  await copy(join(root, 'systemd/default'), join(dir, 'etc/default/lockkeeper'));
  await copy(join(root, 'config.example.json'), join(dir, DOC, 'examples/config.json'));
  for (const page of ['install', 'configuration', 'troubleshooting'])
    await copy(join(root, `docs/${page}.md`), join(dir, DOC, `${page}.md`)).catch(() => undefined);
  await put(dir, `${DOC}/copyright`, await readFile(join(root, 'LICENSE'), 'utf8'));
  await checkMachine(dir, arch);
  if (arch.node === process.arch) await loadNative(dir);
};
