/** What the vault is encrypted under: the key that the configuration names, else the device's key where it is a credential. */
import type { Config } from '../config/config.ts';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import type { DeviceKeys } from '../vault/device-keys.ts';
import { readSecret } from '../vault/secret-file.ts';
import { createStateCipher, type StateCipher } from '../vault/state-cipher.ts';

/** As `openssl rand -hex 32` makes it, and `openssl rand -base64 32`. */
const MIN_KEY_CHARS = 32;
const PRINTABLE = /^[!-~]+$/;
const PURPOSE = 'vault-key';

/**
 * `cipher` is undefined where nothing is to be encrypted. `CONFIG_INVALID` when the key's file cannot be read or holds
 * no key: writing in clear where encryption was asked for is no fall-back.
 */
export const openVaultCipher = async (
  config: Config,
  keys: DeviceKeys,
  env: NodeJS.ProcessEnv,
): Promise<Result<{ readonly cipher?: StateCipher }>> => {
  if (config.vault.keyFile === '') return ok(keys.cipher === undefined ? {} : { cipher: keys.cipher });
  const secret = await readSecret(config.vault.keyFile, env);
  if (!secret.ok) return failed({ ...secret.fault, message: `vault.keyFile: ${secret.fault.message}` });
  const { text, path } = secret.value;
  if (text.length < MIN_KEY_CHARS || !PRINTABLE.test(text)) {
    const wanted = `one line of at least ${MIN_KEY_CHARS} characters, as \`openssl rand -hex 32\` prints it`;
    return failed(fault('CONFIG_INVALID', `vault.keyFile: ${path} must hold ${wanted}`, false));
  }
  const own = createStateCipher(Buffer.from(text), PURPOSE);
  return ok({
    cipher: {
      seal: own.seal,
      // What was encrypted under the device's key before there was one for the vault.
      open: (sealed) => own.open(sealed) ?? keys.cipher?.open(sealed),
    },
  });
};
