/**
 * systemd's credentials, seen from outside the service: the folder is named to the service alone, but while that runs
 * root finds it here.
 */
import { accessSync, constants } from 'node:fs';
import type { Config } from './config.ts';
import { isCredentialRef } from './text-file.ts';

const SERVICE_FOLDER = '/run/credentials/lockkeeper.service';

const isReadable = (folder: string): boolean => {
  try {
    accessSync(folder, constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/**
 * Names the service's credentials folder in `env`, where none is named and this user may read it. For programs that look
 * at a device from a shell.
 */
export const lendServiceCredentials = (env: NodeJS.ProcessEnv, folder = SERVICE_FOLDER): void => {
  if ((env['CREDENTIALS_DIRECTORY'] ?? '') === '' && isReadable(folder))
    env['CREDENTIALS_DIRECTORY'] = folder;
};

/** True when what `reference` names cannot be looked at from here: a credential, and no folder of credentials. Pure. */
export const isOutOfSight = (reference: string, env: Readonly<Record<string, string | undefined>>): boolean =>
  isCredentialRef(reference) && (env['CREDENTIALS_DIRECTORY'] ?? '') === '';

/** True when the login at the broker needs a credential that is out of sight. Pure. */
export const isLoginOutOfSight = (
  { mqtt }: Pick<Config, 'mqtt'>,
  env: Readonly<Record<string, string | undefined>>,
): boolean =>
  [mqtt.passwordFile, mqtt.caFile, mqtt.certFile, mqtt.keyFile].some((reference) =>
    isOutOfSight(reference, env),
  );
