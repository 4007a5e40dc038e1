/** The file that seeds the first authtoken; another content later is a technician's new token. */
import { stat } from 'node:fs/promises';
import type { Log } from '../daemon/log.ts';
import { readSecret } from '../vault/secret-file.ts';
import type { TokenVault } from '../vault/token-vault.ts';

export interface TokenFileOptions {
  /** `ngrok.authtokenFile`; empty for none. */
  readonly path: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly vault: TokenVault;
  /** Another token than the one in use was staged. */
  staged(): void;
  /** What is wrong with the file changed. */
  changed(): void;
}

export interface TokenFile {
  /** Reads it and takes its content into account. */
  read(): Promise<void>;
  /** The same, if the file was written since. */
  look(): Promise<void>;
  /** Why it cannot be read; null while it can. */
  problem(): string | null;
}

export const createTokenFile = ({ path, env, log, vault, staged, changed }: TokenFileOptions): TokenFile => {
  let problem: string | null = null;
  let seen = '';
  let writtenAtMs = 0;

  const read = async (): Promise<void> => {
    if (path === '') return;
    const secret = await readSecret(path, env);
    const before = problem;
    problem = secret.ok ? null : `ngrok.authtokenFile: ${secret.fault.message}`;
    if (before !== problem) changed();
    if (!secret.ok || secret.value.text === seen) return;
    const seeded = await vault.seed(secret.value.text);
    if (!seeded.ok || seeded.value.kind === 'busy') return;
    seen = secret.value.text;
    if (secret.value.warning !== undefined) log.warn({}, secret.value.warning);
    if (seeded.value.kind !== 'unchanged') staged();
  };

  return {
    read,
    look: async () => {
      if (path === '') return;
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: -1 }));
      if (mtimeMs === writtenAtMs) return;
      writtenAtMs = mtimeMs;
      await read();
    },
    problem: () => problem,
  };
};
