/** The authtokens on disk: a mirrored store around the pure transitions of `token-slots.ts`. */
import { type Static, Type } from 'typebox';
import { ok, type Result } from '../core/errors.ts';
import type { VaultState } from '../daemon/ports.ts';
import { CLOSED } from '../protocol/schema-primitives.ts';
import { sha256 } from '../protocol/signing-key.ts';
import { checker } from '../protocol/validate.ts';
import type { Disk } from './disk.ts';
import { openStore } from './mirrored-store.ts';
import type { StateCipher } from './state-cipher.ts';
import { EMPTY_VAULT, type Seeding, seed } from './token-slots.ts';

const slotSchema = Type.Object(
  {
    generation: Type.Integer({ minimum: 0 }),
    authtoken: Type.String({ minLength: 1 }),
    credentialId: Type.String(),
    fingerprint: Type.String({ pattern: '^[0-9a-f]{8}$' }),
    source: Type.Enum(['file', 'rekey']),
    state: Type.Enum(['candidate', 'proved', 'refused']),
  },
  CLOSED,
);
const slotName = Type.Enum(['a', 'b']);
const vaultSchema = Type.Object(
  {
    a: Type.Union([slotSchema, Type.Null()]),
    b: Type.Union([slotSchema, Type.Null()]),
    current: slotName,
    swap: Type.Union([
      Type.Object(
        { to: slotName, phase: Type.Enum(['staged', 'committed']), commandId: Type.String() },
        CLOSED,
      ),
      Type.Null(),
    ]),
    seedDigest: Type.String(),
  },
  CLOSED,
);
const checkVault = checker(vaultSchema);

/** Reads a stored vault; undefined when it is none, or its swap points at an empty slot. */
export const readVault = (value: unknown): VaultState | undefined => {
  const checked = checkVault(value);
  if (!checked.ok) return undefined;
  const vault: Static<typeof vaultSchema> = checked.value;
  return vault.swap !== null && vault[vault.swap.to] === null ? undefined : vault;
};

export interface TokenVault {
  /** Both slots, with the tokens themselves: secrets. */
  state(): VaultState;
  /** Applies a transition and stores what comes of it; on a fault the old state stands, in memory and on disk. */
  apply(transition: (state: VaultState) => VaultState): Promise<Result<VaultState>>;
  /** Takes the content of the seed file into account: the first token, or a technician's new one. */
  seed(authtoken: string): Promise<Result<Seeding>>;
  /** False while a copy on disk lacks what memory has. */
  isDurable(): boolean;
  /** Writes what is still missing on disk. */
  flush(): Promise<Result<void>>;
  readonly recovered: 'no' | 'slot' | 'lost';
}

export interface TokenVaultOptions {
  readonly dir: string;
  readonly disk?: Disk;
  /** Given when the device's private key lives outside the state folder: then the tokens are encrypted at rest. */
  readonly cipher?: StateCipher;
}

/** Opens `vault.0.json` and `vault.1.json`. Never rejects: see `openStore`. */
export const openTokenVault = async ({ dir, disk, cipher }: TokenVaultOptions): Promise<TokenVault> => {
  const store = await openStore<VaultState>({
    dir,
    name: 'vault',
    validate: readVault,
    initial: EMPTY_VAULT,
    ...(disk === undefined ? {} : { disk }),
    ...(cipher === undefined ? {} : { cipher }),
  });

  let queue: Promise<unknown> = Promise.resolve();
  /** One transition after the other: each begins from what the one before has stored. */
  const enqueue = <R>(task: () => Promise<R>): Promise<R> => {
    const run = queue.then(task);
    queue = run.catch(() => undefined);
    return run;
  };

  const applyNow = async (transition: (state: VaultState) => VaultState): Promise<Result<VaultState>> => {
    const saved = await store.save(transition(store.get()));
    return saved.ok ? ok(store.get()) : saved;
  };

  const seedNow = async (authtoken: string): Promise<Result<Seeding>> => {
    const digest = authtoken === '' ? '' : await sha256(authtoken);
    const seeding = seed(store.get(), authtoken, digest);
    const saved = await store.save(seeding.state);
    return saved.ok ? ok(seeding) : saved;
  };

  return {
    state: () => store.get(),
    apply: (transition) => enqueue(() => applyNow(transition)),
    seed: (authtoken) => enqueue(() => seedNow(authtoken)),
    isDurable: () => store.isDurable(),
    flush: () => store.flush(),
    recovered: store.recovered,
  };
};
