/** Packages of the registry by name and version, for this machine's architecture or another one. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const cache = join(root, 'node_modules/.cache/lockkeeper');

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

interface LockFile {
  readonly packages: Readonly<
    Record<string, { readonly version?: string; readonly integrity?: string } | undefined>
  >;
}

const readLock = async (): Promise<LockFile> =>
  JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as LockFile;

/** Version of a package as the lock file has it. Rejects when it has none. */
export const lockedVersion = async (name: string): Promise<string> => {
  const { version } = (await readLock()).packages[`node_modules/${name}`] ?? {};
  if (version === undefined) throw new Error(`${name} is not in package-lock.json`);
  return version;
};

/** npm has compared the archive with the registry; the lock file says more where it knows the package. */
const checkIntegrity = async (archive: string, name: string, version: string): Promise<void> => {
  const locked = (await readLock()).packages[`node_modules/${name}`];
  if (locked?.integrity === undefined || locked.version !== version) return;
  const hash = createHash('sha512')
    .update(await readFile(archive))
    .digest('base64');
  if (locked.integrity !== `sha512-${hash}`)
    throw new Error(`${name}@${version} is not the package that package-lock.json names`);
};

/** Folder with the unpacked package: the installed one where it has that version, else one fetched and kept. */
export const packageDir = async (name: string, version: string): Promise<string> => {
  const installed = join(root, 'node_modules', name);
  const manifest = await readFile(join(installed, 'package.json'), 'utf8').catch(() => '{}');
  if ((JSON.parse(manifest) as { readonly version?: string }).version === version) return installed;
  const kept = join(cache, `${name.replaceAll('/', '+')}@${version}`);
  if (await exists(kept)) return kept;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'fetch-'));
  try {
    const { stdout } = await run(
      'npm',
      ['pack', '--silent', '--pack-destination', work, `${name}@${version}`],
      {
        cwd: root,
      },
    );
    const archive = join(work, stdout.trim().split('\n').at(-1) ?? '');
    await checkIntegrity(archive, name, version);
    await run('tar', ['-xzf', archive, '-C', work]);
    // Another run may have been quicker: its copy is as good.
    await rename(join(work, 'package'), kept).catch(async (error: unknown) => {
      if (!(await exists(kept))) throw error;
    });
    return kept;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
};
