/** The package for the other architecture, on an emulated processor: its Node runs, and its native modules load. */
import { spawnSync } from 'node:child_process';
import { access, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../support/temp-dir.ts';
import { ROOT, run } from './support/images.ts';

const EMULATOR = 'qemu-aarch64-static';
const LIBRARIES = ['libc6', 'libstdc++6', 'libatomic1', 'libgcc-s1'];
const isMissing = spawnSync(EMULATOR, ['--version']).status !== 0;

/** What the package depends on, for that architecture; unpacked once, nothing of it is installed. */
const sysroot = async (): Promise<string> => {
  const dir = join(ROOT, 'node_modules/.cache/lockkeeper/sysroot-arm64');
  const isThere = await access(dir).then(
    () => true,
    () => false,
  );
  if (isThere) return dir;
  const options = [
    '--quiet',
    '--variant=extract',
    '--architectures=arm64',
    `--include=${LIBRARIES.join(',')}`,
  ];
  await mkdir(join(dir, '..'), { recursive: true });
  await run('mmdebstrap', ...options, 'bookworm', `${dir}.new`);
  await rename(`${dir}.new`, dir);
  return dir;
};

// In CI the emulator has to be there: .ci/run installs it.
test.skipIf(process.arch !== 'x64' || (isMissing && process.env['CI'] !== 'true'))(
  'the programs of the arm64 package run, and its native modules load and work',
  async () => {
    const dir = await tempDir();
    await run(
      process.execPath,
      'packaging/deb.ts',
      '--arch=arm64',
      '--compression=none',
      '--no-archive',
      `--out=${dir}`,
    );
    const [file] = (await run('find', dir, '-name', '*_arm64.deb')).trim().split('\n');
    await run('dpkg-deb', '-x', file ?? '', join(dir, 'tree'));
    const lib = join(dir, 'tree/usr/lib/lockkeeper');
    const libraries = await sysroot();
    const node = (...args: readonly string[]): Promise<string> =>
      run(EMULATOR, '-L', libraries, join(lib, 'node'), ...args);

    const script = `
      const { createRequire } = await import('node:module');
      const require = createRequire('${lib}/package.json');
      const ngrok = require('@ngrok/ngrok');
      const { default: koffi } = await import('${lib}/node_modules/koffi/index.js');
      const pid = koffi.load(null).func('getpid', 'int', [])();
      console.log(process.arch, typeof ngrok.SessionBuilder, pid === process.pid);`;
    expect(await node('--input-type=module', '-e', script)).toBe('arm64 function true\n');
    expect(await node(join(lib, 'lockkeeperd.js'), '--version')).toMatch(/^\d+\.\d+\.\d+\n$/);
  },
);
