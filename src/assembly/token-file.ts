/** The file that seeds the first authtoken; another content later is a technician's new token. */
import { stat } from 'node:fs/promises';
import type { Log } from '../daemon/log.ts';
import { tokenFingerprint } from '../protocol/token-fingerprint.ts';
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
  /** Why the token in it is not in use although it was tried; null where that is not so. Stands over restarts. */
  refusal(): string | null;
}

const NEVER_MS = -1;
const GONE_MS = -2;
/** Its content could not be taken in yet: to be read at the next look, whenever it was written. */
const DUE_MS = -3;

export const createTokenFile = ({ path, env, log, vault, staged, changed }: TokenFileOptions): TokenFile => {
  let problem: string | null = null;
  let seen = '';
  /** Of the token in the file now; empty where there is none. */
  let fingerprint = '';
  let writtenAtMs = NEVER_MS;

  const refusal = (): string | null => {
    const state = vault.state();
    const { seedRefusal } = state;
    if (seedRefusal === undefined || seedRefusal.fingerprint !== fingerprint) return null;
    if (state[state.current]?.fingerprint === fingerprint) return null;
    return `ngrok.authtokenFile: ${seedRefusal.message} The token before it is kept. Put a good one there, or mend this one at ngrok and write it again.`;
  };

  const read = async (isWrittenAnew = false): Promise<void> => {
    if (path === '') return;
    const secret = await readSecret(path, env);
    const [problemBefore, fingerprintBefore] = [problem, fingerprint];
    problem = secret.ok ? null : `ngrok.authtokenFile: ${secret.fault.message}`;
    fingerprint = secret.ok ? tokenFingerprint(secret.value.text) : '';
    if (problemBefore !== problem || fingerprintBefore !== fingerprint) changed();
    if (!secret.ok) return;
    if (secret.value.text === seen && !(isWrittenAnew && refusal() !== null)) return;
    const seeded = await vault.seed(secret.value.text, isWrittenAnew);
    if (!seeded.ok || seeded.value.kind === 'busy') {
      writtenAtMs = DUE_MS;
      return;
    }
    seen = secret.value.text;
    if (secret.value.warning !== undefined) log.warn({}, secret.value.warning);
    if (seeded.value.kind !== 'unchanged') staged();
  };

  return {
    read: () => read(),
    look: async () => {
      if (path === '') return;
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: GONE_MS }));
      if (mtimeMs === writtenAtMs) return;
      const isWrittenAnew = writtenAtMs !== NEVER_MS;
      writtenAtMs = mtimeMs;
      await read(isWrittenAnew);
    },
    problem: () => problem,
    refusal,
  };
};
