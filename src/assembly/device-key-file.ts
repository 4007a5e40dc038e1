import type { Config } from '../config/config.ts';
import { ok, type Result } from '../core/errors.ts';
import { readSecret } from '../vault/secret-file.ts';

/** The private key that the configuration names, if it names one; `CONFIG_INVALID` when it cannot be read. */
export const readDeviceKey = async (
  config: Config,
  env: NodeJS.ProcessEnv,
): Promise<Result<{ readonly credential?: string }>> => {
  if (config.device.keyFile === '') return ok({});
  const secret = await readSecret(config.device.keyFile, env);
  return secret.ok ? ok({ credential: secret.value.text }) : secret;
};
