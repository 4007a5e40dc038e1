/** The operator's profile: which broker, which tenant, whose keys. */
import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Type } from 'typebox';
import type { MqttConfig } from '../config/config.ts';
import { ALPN_NAME } from '../config/schema-parts.ts';
import { absolutePath, readJsonFile } from '../config/text-file.ts';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { checker } from '../protocol/validate.ts';

const CLOSED = { additionalProperties: false } as const;
const text = Type.Optional(Type.String());

const profileSchema = Type.Object(
  {
    tenant: text,
    mqtt: Type.Optional(
      Type.Object(
        {
          url: text,
          username: text,
          passwordFile: text,
          caFile: text,
          certFile: text,
          keyFile: text,
          alpn: Type.Optional(Type.String(ALPN_NAME)),
          protocol: Type.Optional(Type.Enum(['auto', '5', '4'])),
          keepAliveS: Type.Optional(Type.Integer({ minimum: 5, maximum: 1160 })),
        },
        CLOSED,
      ),
    ),
    trust: Type.Optional(Type.Enum(['signed', 'broker'])),
    sign: Type.Optional(Type.Object({ kid: text, keyFile: text }, CLOSED)),
    rootKeyFile: text,
    keysFile: text,
    api: Type.Optional(Type.Object({ url: text, keyFile: text }, CLOSED)),
    devicesDir: text,
    auditFile: text,
  },
  CLOSED,
);
const checkProfile = checker(profileSchema);

/** A profile with every default filled in and every path absolute. Empty texts mean: not given. */
export interface Profile {
  readonly tenant: string;
  readonly mqtt: MqttConfig;
  readonly trust: 'signed' | 'broker';
  /** Key that signs commands and documents. */
  readonly sign: { readonly kid: string; readonly keyFile: string };
  readonly rootKeyFile: string;
  /** The `trust.keysFile` of the devices, as `keys` writes it; `keys.json` beside the profile where none is named. */
  readonly keysFile: string;
  readonly api: { readonly url: string; readonly keyFile: string };
  /** Folder with one record per device: pinned key, last `seq`, `rev` and `gen`. */
  readonly devicesDir: string;
  /** What was done to credentials, one JSON line each. */
  readonly auditFile: string;
}

/** What the command line says instead of the profile. */
export interface ProfileOverrides {
  readonly broker?: string;
  readonly tenant?: string;
  readonly trust?: 'signed' | 'broker';
  readonly devicesDir?: string;
}

const MAX_BYTES = 65_536;

const configHome = (env: NodeJS.ProcessEnv): string => {
  const base = env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config');
  return join(base, 'lockkeeper');
};

const invalid = (message: string) => failed(fault('CONFIG_INVALID', message, false));

const fill = (
  read: Exclude<Awaited<ReturnType<typeof checkProfile>>, { ok: false }>['value'],
  baseDir: string,
  home: string,
): Profile => {
  const path = (reference: string | undefined): string => absolutePath(reference ?? '', baseDir);
  const mqtt = read.mqtt ?? {};
  return {
    tenant: read.tenant ?? '',
    mqtt: {
      url: mqtt.url ?? '',
      username: mqtt.username ?? '',
      passwordFile: path(mqtt.passwordFile),
      caFile: path(mqtt.caFile),
      certFile: path(mqtt.certFile),
      keyFile: path(mqtt.keyFile),
      alpn: mqtt.alpn ?? '',
      protocol: mqtt.protocol ?? 'auto',
      keepAliveS: mqtt.keepAliveS ?? 60,
    },
    trust: read.trust ?? 'signed',
    sign: { kid: read.sign?.kid ?? '', keyFile: path(read.sign?.keyFile) },
    rootKeyFile: path(read.rootKeyFile),
    keysFile: path(read.keysFile) || join(baseDir, 'keys.json'),
    api: { url: read.api?.url ?? 'https://api.ngrok.com', keyFile: path(read.api?.keyFile) },
    devicesDir: path(read.devicesDir) || join(home, 'devices'),
    auditFile: path(read.auditFile) || join(home, 'audit.jsonl'),
  };
};

/**
 * Loads the profile: `file`, else `LOCKKEEPER_PROFILE`, else the one in the user's configuration folder, which need
 * not exist. `CONFIG_INVALID` names the file and what is wrong; one that others may read is refused.
 */
export const loadProfile = async (
  file: string | undefined,
  env: NodeJS.ProcessEnv,
  overrides: ProfileOverrides = {},
): Promise<Result<Profile>> => {
  const home = configHome(env);
  const named = file ?? (env['LOCKKEEPER_PROFILE'] || undefined);
  const path = resolve(named ?? join(home, 'profile.json'));
  const mode = await stat(path).then(
    (s) => s.mode & 0o777,
    () => null,
  );
  if (mode === null && named !== undefined) return invalid(`The profile ${path} cannot be found.`);
  if (mode !== null && (mode & 0o077) !== 0)
    return invalid(
      `The profile ${path} has mode ${mode.toString(8).padStart(4, '0')}; others must not read it: chmod 600.`,
    );
  const json =
    mode === null ? { ok: true as const, value: {} } : await readJsonFile(readFile, path, MAX_BYTES);
  if (!json.ok) return invalid(`The profile ${json.problem}.`);
  const checked = checkProfile(json.value);
  if (!checked.ok) return invalid(`The profile ${path}: ${checked.message}.`);
  const profile = fill(checked.value, dirname(path), home);
  return ok({
    ...profile,
    ...(overrides.tenant === undefined ? {} : { tenant: overrides.tenant }),
    ...(overrides.trust === undefined ? {} : { trust: overrides.trust }),
    ...(overrides.devicesDir === undefined ? {} : { devicesDir: resolve(overrides.devicesDir) }),
    ...(overrides.broker === undefined ? {} : { mqtt: { ...profile.mqtt, url: overrides.broker } }),
  });
};
