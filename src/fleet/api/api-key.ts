/** Where the API key comes from: a file, the environment, or a person. Never the command line. */
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { readSecret } from '../../vault/secret-file.ts';

/** The variable that ngrok's own tools read, too. */
export const API_KEY_VARIABLE = 'NGROK_API_KEY';

export interface ApiKeySources {
  /** A path or `credential:NAME`; empty for none. Wins over the others. */
  readonly keyFile: string;
  /** The variable is taken out of it, so that no child process inherits the key. */
  readonly env: NodeJS.ProcessEnv;
  /** Asks a person at a terminal, without showing what is typed; null where there is none. */
  readonly prompt: (() => Promise<string>) | null;
}

/** The key, and a warning when others may read its file. `BAD_ARGS` says where one can be given. */
export const readApiKey = async ({
  keyFile,
  env,
  prompt,
}: ApiKeySources): Promise<Result<{ readonly key: string; readonly warning?: string }>> => {
  const fromEnv = (env[API_KEY_VARIABLE] ?? '').trim();
  delete env[API_KEY_VARIABLE];
  if (keyFile !== '') {
    const secret = await readSecret(keyFile, env);
    if (!secret.ok) return secret;
    const { text, warning } = secret.value;
    return ok(warning === undefined ? { key: text.trim() } : { key: text.trim(), warning });
  }
  if (fromEnv !== '') return ok({ key: fromEnv });
  const typed = prompt === null ? '' : (await prompt()).trim();
  return typed === ''
    ? failed(
        fault(
          'BAD_ARGS',
          `There is no API key: api.keyFile in the profile, --api-key-file, or ${API_KEY_VARIABLE}.`,
          false,
        ),
      )
    : ok({ key: typed });
};
