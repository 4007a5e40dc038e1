/** The device's trust at run time: the keys file, the newest key set kept, and its replacement by command. */
import { readFile } from 'node:fs/promises';
import type { Config } from '../config/config.ts';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import type { TrustPolicy } from '../protocol/judge-context.ts';
import { openTrust, parseKeysFile, replaceKeySet, type Trust } from '../protocol/keyset.ts';
import type { MirroredStore } from '../vault/mirrored-store.ts';
import { secretPath } from '../vault/secret-file.ts';
import type { KeySetRecord } from './open-state.ts';

export interface TrustKeeper {
  policy(): TrustPolicy;
  replace(set: string, nowS: number): Promise<Result<{ readonly version: number }>>;
}

const BROKER: TrustKeeper = {
  policy: () => ({ mode: 'broker' }),
  replace: () =>
    Promise.resolve(
      failed(fault('NOT_ALLOWED', 'This device runs with trust.mode broker and has no key set.', false)),
    ),
};

/** `CONFIG_INVALID` names `trust.keysFile` when it cannot be used. */
export const openTrustKeeper = async (
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
  kept: MirroredStore<KeySetRecord | null>,
): Promise<Result<TrustKeeper>> => {
  if (config.trust.mode === 'broker') return ok(BROKER);
  const invalid = (why: string): Result<never> =>
    failed(fault('CONFIG_INVALID', `trust.keysFile ${why}`, false));
  const path = secretPath(config.trust.keysFile, env);
  if (!path.ok) return path;
  let text: string;
  try {
    text = await readFile(path.value, 'utf8');
  } catch (error) {
    return invalid(`${path.value} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
  const file = parseKeysFile(text);
  if (!file.ok) return invalid(file.message);
  const opened = await openTrust(file.value, kept.get()?.jws);
  if (!opened.ok) return invalid(opened.fault.message);
  let trust: Trust = opened.value;
  return ok({
    policy: () => ({ mode: 'signed', trust }),
    replace: async (set, nowS) => {
      const replaced = await replaceKeySet(trust, set, nowS);
      if (!replaced.ok) return replaced;
      if (replaced.value !== trust) {
        // Durable before believed: a set must not go down again with the next restart.
        const saved = await kept.save({ jws: replaced.value.jws });
        if (!saved.ok) return saved;
        trust = replaced.value;
      }
      return ok({ version: trust.set.version });
    },
  });
};
