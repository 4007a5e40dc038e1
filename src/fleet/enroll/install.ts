/** On the box: puts the files of a bundle in their places, as root before the first start of the daemon. */
import { chown, mkdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { isCredentialRef } from '../../config/text-file.ts';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { isRecord } from '../../protocol/strict-json.ts';
import { writeFileAtomic } from '../../vault/atomic-file.ts';
import { errnoOf } from '../../vault/disk.ts';
import { mountedNamesIn } from '../../vault/mounted-files.ts';
import type { OpenedBundle } from './bundle.ts';
import { checkDeviceConfig } from './device-config.ts';

export interface InstallOptions {
  /** Folder of the configuration. */
  readonly dir: string;
  /** Who will read the files; null leaves them with whoever writes them. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
}

/** One file, as it was found. */
export interface Installed {
  readonly path: string;
  readonly state: 'written' | 'unchanged';
}

interface Target {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

const SECRET = 0o600;
/** Configuration and public keys: the service reads them, nobody else has to. */
const PLAIN = 0o640;

const section = (of: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> => {
  const value = of[key];
  return isRecord(value) ? value : {};
};

/** Where a secret goes: where the configuration looks for it, or, for a credential of systemd, into the folder. */
const secretAt = (dir: string, reference: unknown, name: string): string => {
  if (typeof reference !== 'string' || reference === '' || isCredentialRef(reference)) return join(dir, name);
  return isAbsolute(reference) ? reference : join(dir, reference);
};

/** Secrets first, the configuration last: a daemon that starts in between still sees the old one, whole. */
const targetsOf = ({ content, secrets }: OpenedBundle, dir: string): readonly Target[] => {
  const { config, keys, files } = content;
  const { authtokenFile } = section(config, 'ngrok');
  const { passwordFile } = section(config, 'mqtt');
  return [
    ...Object.entries(files).map(([name, text]) => ({ path: join(dir, name), content: text, mode: PLAIN })),
    ...(keys === '' ? [] : [{ path: join(dir, 'keys.json'), content: keys, mode: PLAIN }]),
    ...(secrets.mqttPassword === ''
      ? []
      : [
          {
            path: secretAt(dir, passwordFile, 'mqtt-password'),
            content: `${secrets.mqttPassword}\n`,
            mode: SECRET,
          },
        ]),
    { path: secretAt(dir, authtokenFile, 'authtoken'), content: `${secrets.token}\n`, mode: SECRET },
    { path: join(dir, 'config.json'), content: `${JSON.stringify(config, null, 2)}\n`, mode: PLAIN },
  ];
};

const isSame = async ({ path, content, mode }: Target): Promise<boolean> => {
  try {
    const [bytes, stats] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    return bytes === content && (stats.mode & 0o777) === mode;
  } catch {
    return false;
  }
};

const cannot = (path: string, why: string) =>
  failed(fault('STORE_FAILED', `${path} cannot be written: ${why}.`, false));

/** A file that is itself a mount cannot be replaced; found out before anything is written. */
const mountedTarget = async (targets: readonly Target[]): Promise<string | null> => {
  for (const { path } of targets)
    if ((await mountedNamesIn(dirname(path))).includes(basename(path))) return path;
  return null;
};

/**
 * Writes the files, each whole or not at all. Running it again changes nothing. `STORE_FAILED` names the path that
 * cannot be written, before any other was; `BAD_ARGS` for a configuration that the daemon would refuse.
 */
export const installBundle = async (
  bundle: OpenedBundle,
  options: InstallOptions,
): Promise<Result<readonly Installed[]>> => {
  const { dir, owner } = options;
  const { config, files, keys } = bundle.content;
  const checked = await checkDeviceConfig(
    config,
    { ...files, ...(keys === '' ? {} : { 'keys.json': keys }) },
    dir,
    readFile,
  );
  if (!checked.ok) return checked;
  const targets = targetsOf(bundle, dir);
  const mounted = await mountedTarget(targets);
  if (mounted !== null)
    return cannot(
      mounted,
      'it is mounted as a single file; mount its folder instead, or take the mount away',
    );
  const done: Installed[] = [];
  for (const target of targets) {
    const { path, content, mode } = target;
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      const isUnchanged = await isSame(target);
      if (!isUnchanged) await writeFileAtomic(path, content, undefined, mode);
      if (owner !== null) await chown(path, owner.uid, owner.gid);
      done.push({ path, state: isUnchanged ? 'unchanged' : 'written' });
    } catch (error) {
      return cannot(path, errnoOf(error));
    }
  }
  return ok(done);
};

/** The user and group of a name in the system's list, or null. */
export const systemUser = async (
  name: string,
  passwdFile = '/etc/passwd',
): Promise<{ readonly uid: number; readonly gid: number } | null> => {
  const text = await readFile(passwdFile, 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const [user, , uid, gid] = line.split(':');
    if (user === name && uid !== undefined && gid !== undefined)
      return { uid: Number(uid), gid: Number(gid) };
  }
  return null;
};
