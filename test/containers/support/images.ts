/** The images that the tests run, made on this machine: no image is pulled. Each is kept under a name that tells its recipe. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const exec = promisify(execFile);
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Runs a program to its end; rejects with its words when it fails. */
export const run = async (file: string, ...args: readonly string[]): Promise<string> =>
  (await exec(file, args, { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 })).stdout;

/** Debian's packages in the image: an init, a broker, and what the package under test depends on. */
const PACKAGES = [
  'systemd-sysv',
  'dbus',
  'mosquitto',
  'libatomic1',
  'libstdc++6',
  'adduser',
  'ca-certificates',
  'binutils',
];
const SUITE = 'bookworm';
/** The image's broker is started by tests only, and nothing asks for updates by itself. */
const CLEAN_UP = [
  'rm -f "$1"/etc/systemd/system/multi-user.target.wants/mosquitto.service',
  'rm -f "$1"/etc/systemd/system/timers.target.wants/*.timer',
  'rm -f "$1"/var/lib/apt/lists/*_* "$1"/var/cache/apt/archives/*.deb',
];

const recipe = createHash('sha256')
  .update(JSON.stringify([SUITE, PACKAGES, CLEAN_UP]))
  .digest('hex')
  .slice(0, 12);

export const BASE_IMAGE = `lockkeeper-test-base:${recipe}`;
export const NPM_IMAGE = `lockkeeper-test-npm:${recipe}`;
export const LOCKKEEPER_IMAGE = 'lockkeeper:test';

const SYSTEM_CAS = '/etc/ssl/certs/ca-certificates.crt';

const hasImage = (name: string): Promise<boolean> =>
  run('docker', 'image', 'inspect', name).then(
    () => true,
    () => false,
  );

/** A small Debian, made from its packages. */
export const makeBaseImage = async (): Promise<void> => {
  if (await hasImage(BASE_IMAGE)) return;
  const dir = await mkdtemp(join(tmpdir(), 'lockkeeper-base-'));
  try {
    const tar = join(dir, 'base.tar');
    await run(
      'mmdebstrap',
      '--quiet',
      '--variant=minbase',
      `--include=${PACKAGES.join(',')}`,
      ...CLEAN_UP.map((line) => `--customize-hook=${line}`),
      SUITE,
      tar,
    );
    await run('docker', 'import', tar, BASE_IMAGE);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
};

/** A Node with npm, for the first stage of the Dockerfile, out of this machine's own. */
export const makeNpmImage = async (): Promise<void> => {
  if (await hasImage(NPM_IMAGE)) return;
  const dir = await mkdtemp(join(tmpdir(), 'lockkeeper-npm-'));
  try {
    const program = await realpath((await run('sh', '-c', 'command -v npm')).trim());
    const npm = join(program, '../..');
    const registry = (await run('npm', 'config', 'get', 'registry')).trim();
    await mkdir(join(dir, 'lib/node_modules'), { recursive: true });
    await mkdir(join(dir, 'bin'));
    await cp(npm, join(dir, 'lib/node_modules/npm'), { recursive: true });
    await cp(process.execPath, join(dir, 'bin/node'));
    await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(dir, 'bin/npm'));
    // Authorities that this machine trusts besides the usual ones; npm asks its registry by way of them.
    await cp(SYSTEM_CAS, join(dir, 'cas.pem'));
    const dockerfile = [
      `FROM ${BASE_IMAGE}`,
      'COPY . /usr/local/',
      `ENV NPM_CONFIG_REGISTRY=${registry} NODE_EXTRA_CA_CERTS=/usr/local/cas.pem`,
      '',
    ].join('\n');
    await writeFile(join(dir, 'Dockerfile'), dockerfile);
    await run('docker', 'build', '--quiet', '--network=host', '--tag', NPM_IMAGE, dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
};

/** The image that people get, built as they build it. */
export const makeLockkeeperImage = async (): Promise<void> => {
  await run(
    'docker',
    'build',
    '--quiet',
    '--network=host',
    `--build-arg=BASE=${BASE_IMAGE}`,
    `--build-arg=NPM_BASE=${NPM_IMAGE}`,
    '--tag',
    LOCKKEEPER_IMAGE,
    ROOT,
  );
  // First stages of earlier builds; the newest ones make the next build quick.
  const old = ['--filter=label=lockkeeper.stage=build', '--filter=until=12h'];
  await run('docker', 'image', 'prune', '--force', ...old);
};
