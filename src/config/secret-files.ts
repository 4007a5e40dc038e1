/** What a technician should know about the files that hold this device's secrets: who else may read them, and from where. */
import { stat } from 'node:fs/promises';
import type { Config } from './config.ts';
import { isCredentialRef } from './text-file.ts';

/** The keys whose files hold a secret. */
const secretKeys = ({ device, mqtt, ngrok, vault, http }: Config): readonly (readonly [string, string])[] => [
  ['ngrok.authtokenFile', ngrok.authtokenFile],
  ['mqtt.passwordFile', mqtt.passwordFile],
  ['mqtt.keyFile', mqtt.keyFile],
  ['device.keyFile', device.keyFile],
  ['vault.keyFile', vault.keyFile],
  ['http.tokenFile', http.tokenFile],
];

const HOW = 'systemd can keep them encrypted: LoadCredentialEncrypted= in the unit, credential:NAME here';

/** Sentences about where secrets lie, from the configuration alone. Pure. */
export const secretPlaces = (config: Config): readonly string[] => {
  const plain = secretKeys(config).filter(([, ref]) => ref !== '' && !isCredentialRef(ref));
  const isEncrypted = config.vault.keyFile !== '' || config.device.keyFile !== '';
  return [
    ...(plain.length === 0
      ? []
      : [
          `${plain.map(([key]) => key).join(', ')}: plain files, whoever copies the disk has these secrets; ${HOW}`,
        ]),
    ...(isEncrypted
      ? []
      : [
          'vault.keyFile is not set: the authtokens in stateDir are not encrypted (mode 0600), whoever copies the disk has them',
        ]),
  ];
};

/** Sentences about plain files that are missing or that other users may read. */
export const secretFileWarnings = async (config: Config): Promise<readonly string[]> => {
  const looked = secretKeys(config)
    .filter(([, ref]) => ref !== '' && !isCredentialRef(ref))
    .map(async ([key, path]): Promise<readonly string[]> => {
      try {
        const mode = (await stat(path)).mode & 0o777;
        if ((mode & 0o077) === 0) return [];
        const octal = mode.toString(8).padStart(4, '0');
        return [`${key}: ${path} has mode ${octal}, other users may read it: chmod 600`];
      } catch (error) {
        return [`${key}: ${path} cannot be read now (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`];
      }
    });
  return (await Promise.all(looked)).flat();
};
