/** Opens everything durable in the state folder, in order; the first fault ends the start with its exit code. */
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { type ContinuityRecord, readContinuity } from '../daemon/continuity.ts';
import { createKeeper, type Keeper } from '../daemon/keeper.ts';
import {
  type DesiredRecord,
  initialRuntime,
  type RevFloor,
  type RuntimeRecord,
  readDesired,
  readRevFloor,
  readRuntime,
} from '../daemon/records.ts';
import { checkRunDir } from '../tunnel/tunnels.ts';
import { type DeviceKeys, openDeviceKeys } from '../vault/device-keys.ts';
import type { Disk } from '../vault/disk.ts';
import { type Journal, openJournal } from '../vault/journal.ts';
import { type MirroredStore, openStore } from '../vault/mirrored-store.ts';
import { openStateDir, type StateDir } from '../vault/state-dir.ts';
import { openTokenVault, type TokenVault } from '../vault/token-vault.ts';
import { readDeviceKey } from './device-key-file.ts';
import { openVaultCipher } from './vault-cipher.ts';

export interface KeySetRecord {
  readonly jws: string;
}

export interface OpenState {
  readonly dir: StateDir;
  readonly runDir: string;
  readonly keys: DeviceKeys;
  readonly vault: TokenVault;
  readonly journal: Journal;
  readonly runtime: Keeper<RuntimeRecord>;
  readonly document: MirroredStore<DesiredRecord | null>;
  readonly revFloor: MirroredStore<RevFloor>;
  readonly keySet: MirroredStore<KeySetRecord | null>;
  /** No loss where it is lost, and nothing waits for the disk to have it. */
  readonly continuity: MirroredStore<ContinuityRecord | null>;
  /** What was repaired; `isLost` when no copy was good. */
  readonly recovered: readonly { readonly store: string; readonly isLost: boolean }[];
  /** Writes what could not be written before; true when everything is on disk. */
  flush(): Promise<boolean>;
  /** False while the disk lacks what memory has. */
  isDurable(): boolean;
}

const readKeySet = (value: unknown): KeySetRecord | null | undefined => {
  if (value === null) return null;
  const jws = (value as { readonly jws?: unknown } | undefined)?.jws;
  return typeof jws === 'string' ? { jws } : undefined;
};

/** What the daemon itself keeps besides tokens and journal. `keepInMemory` where work goes on without the disk. */
export const openRecords = async (place: { readonly dir: string; readonly disk?: Disk }) => ({
  runtime: await openStore<RuntimeRecord>({
    ...place,
    name: 'runtime',
    validate: readRuntime,
    initial: initialRuntime,
    keepInMemory: true,
  }),
  document: await openStore<DesiredRecord | null>({
    ...place,
    name: 'desired',
    validate: readDesired,
    initial: null,
  }),
  revFloor: await openStore<RevFloor>({
    ...place,
    name: 'rev-floor',
    validate: readRevFloor,
    initial: { rev: 0 },
    keepInMemory: true,
  }),
});

/** A hand-over or a quick restart: the one before may still be letting go of the folder. */
const openDir = async (path: string, patienceMs: number): Promise<Result<StateDir>> => {
  const until = Date.now() + patienceMs;
  for (;;) {
    const opened = await openStateDir(path);
    if (opened.ok || !opened.fault.retryable || Date.now() > until) return opened;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

export const openState = async (
  config: Config,
  nowS: () => number,
  env: NodeJS.ProcessEnv,
): Promise<Result<OpenState>> => {
  const dir = await openDir(config.stateDir, 5000);
  if (!dir.ok) return dir;
  const path = config.stateDir;
  const runDir = join(path, 'run');
  const tooLong = await checkRunDir(runDir);
  if (tooLong !== null) return failed(fault('STORE_FAILED', tooLong.message, false));
  const credential = await readDeviceKey(config, env);
  if (!credential.ok) return credential;
  const keys = await openDeviceKeys({ dir: path, ...credential.value });
  if (!keys.ok) return keys;
  const cipher = await openVaultCipher(config, keys.value, env);
  if (!cipher.ok) return cipher;
  const vault = await openTokenVault({ dir: path, ...cipher.value });
  const journal = await openJournal({ dir: path, nowS });
  const { runtime, document, revFloor } = await openRecords({ dir: path });
  const keySet = await openStore<KeySetRecord | null>({
    dir: path,
    name: 'keyset',
    validate: readKeySet,
    initial: null,
  });
  const continuity = await openStore<ContinuityRecord | null>({
    dir: path,
    name: 'continuity',
    validate: readContinuity,
    initial: null,
    keepInMemory: true,
  });
  const stores = {
    vault,
    journal,
    runtime,
    desired: document,
    'rev-floor': revFloor,
    keyset: keySet,
    'device-key': keys.value,
  };
  const durable = [vault, journal, runtime, document, revFloor, keySet];
  return ok({
    dir: dir.value,
    runDir,
    keys: keys.value,
    vault,
    journal,
    runtime: createKeeper(runtime),
    document,
    revFloor,
    keySet,
    continuity,
    recovered: [
      ...Object.entries(stores).flatMap(([store, { recovered }]) =>
        recovered === 'no' ? [] : [{ store, isLost: recovered === 'lost' }],
      ),
      ...(continuity.recovered === 'no' ? [] : [{ store: 'continuity', isLost: false }]),
    ],
    flush: async () => {
      const all = await Promise.all(durable.map((store) => store.flush()));
      return all.every((result) => result.ok);
    },
    isDurable: () => durable.every((store) => store.isDurable()),
  });
};
