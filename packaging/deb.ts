/**
 * `npm run deb`: packages for Debian and its relatives, each with its own Node, and the same files as an archive with
 * install scripts for other distributions. Architectures other than this machine's are packed from their native files,
 * which are checked but not run.
 */
import { execFile } from 'node:child_process';
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Command, InvalidArgumentError, Option } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import { ARCHES, type Arch, archOf } from './arch.ts';
import { makeTree } from './tree.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const SCRIPTS = ['postinst', 'prerm', 'postrm'];

interface DebOptions {
  readonly arch: readonly Arch[];
  readonly out: string;
  readonly version: string;
  readonly compression: string;
  readonly archive: boolean;
}

/** KiB of all files in a folder, as `Installed-Size` counts them. */
const sizeOf = async (dir: string): Promise<number> => {
  const entries = await readdir(dir, { recursive: true });
  const sizes = await Promise.all(
    entries.map(async (entry) => {
      const info = await lstat(join(dir, entry));
      return info.isFile() ? Math.ceil(info.size / 1024) : 1;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
};

const control = (arch: Arch, version: string, sizeKiB: number): string => `Package: lockkeeper
Version: ${version}
Architecture: ${arch.debian}
Maintainer: Lockkeeper maintainers <lockkeeper@localhost>
Installed-Size: ${sizeKiB}
Depends: libc6 (>= 2.28), libstdc++6, libgcc-s1, libatomic1, adduser, init-system-helpers (>= 1.54~)
Recommends: systemd
Section: net
Priority: optional
Description: ${manifest.description}
 A daemon that opens ngrok endpoints on this device when a command over MQTT asks
 for them, closes them when their time is over, and exchanges authtokens under
 live traffic. It brings the Node runtime that it was tested with.
`;

/** Every conffile, so that an upgrade never overwrites what a person has changed. */
const CONFFILES = '/etc/default/lockkeeper\n';

const makeDeb = async (arch: Arch, { out, version, compression, archive }: DebOptions): Promise<string[]> => {
  const dir = await mkdtemp(join(tmpdir(), 'lockkeeper-deb-'));
  try {
    await chmod(dir, 0o755);
    await makeTree({ arch, version, dir });
    const made: string[] = [];
    if (archive) {
      const file = join(out, `lockkeeper-${version}-linux-${arch.node}.tar.gz`);
      await packArchive(dir, file);
      made.push(file);
    }
    const size = await sizeOf(dir);
    const debian = join(dir, 'DEBIAN');
    await mkdir(debian);
    await writeFile(join(debian, 'control'), control(arch, version, size));
    await writeFile(join(debian, 'conffiles'), CONFFILES);
    for (const name of SCRIPTS) {
      await cp(join(root, 'packaging/debian', name), join(debian, name));
      await chmod(join(debian, name), 0o755);
    }
    const file = join(out, `lockkeeper_${version}_${arch.debian}.deb`);
    await run('dpkg-deb', ['--root-owner-group', `-Z${compression}`, '--build', dir, file]);
    return [file, ...made];
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
};

/** The tree in a folder `root`, beside the scripts that put it in place and take it away. */
const packArchive = async (tree: string, file: string): Promise<void> => {
  const dir = await mkdtemp(join(tmpdir(), 'lockkeeper-archive-'));
  try {
    await cp(tree, join(dir, 'root'), { recursive: true });
    for (const name of ['install.sh', 'uninstall.sh']) {
      await cp(join(root, 'systemd', name), join(dir, name));
      await chmod(join(dir, name), 0o755);
    }
    await run('tar', ['--owner=0', '--group=0', '-czf', file, '-C', dir, '.']);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
};

const parseArch = (name: string): readonly Arch[] => {
  if (name === 'all') return ARCHES;
  const arch = archOf(name);
  if (typeof arch === 'string') throw new InvalidArgumentError(arch);
  return [arch];
};

const program = new Command('deb')
  .description('Makes packages for Debian, each with its own Node')
  .addOption(new Option('--arch <name>', 'amd64, arm64 or all').default(ARCHES, 'all').argParser(parseArch))
  .option('--out <dir>', 'folder for the packages', join(root, 'dist/packages'))
  .option('--version <version>', 'version of the package and of its programs', manifest.version)
  .addOption(
    new Option('--compression <kind>', 'of the package').choices(['xz', 'gzip', 'none']).default('xz'),
  )
  .option('--no-archive', 'leave out the archive for other distributions')
  .parse();
const options = program.opts<DebOptions>();
await mkdir(options.out, { recursive: true });
for (const arch of options.arch) {
  for (const file of await makeDeb(arch, options)) process.stdout.write(`${file}\n`);
  if (arch.node !== process.arch)
    process.stdout.write(
      `The native files for ${arch.debian} were checked by their headers; they cannot be loaded here.\n`,
    );
}
