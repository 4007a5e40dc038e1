/** The authtokens on disk: a mirrored store around the pure transitions of `token-slots.ts`. */
import { type Static, Type } from 'typebox';
import { ok, type Result } from '../core/errors.ts';
import { createSerial } from '../core/serial.ts';
import type { VaultState } from '../daemon/ports.ts';
import { CLOSED } from '../protocol/schema-primitives.ts';
import { sha256 } from '../protocol/signing-key.ts';
import { checker } from '../protocol/validate.ts';
import type { Disk } from './disk.ts';
import { type MirroredStore, openStore } from './mirrored-store.ts';
import { copiesOf, findSealedAway } from './sealed-away.ts';
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
    seedRefusal: Type.Optional(Type.Object({ fingerprint: Type.String(), message: Type.String() }, CLOSED)),
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
  /**
   * Takes the content of the seed file into account: the first token, or a technician's new one. A refused one that was
   * written anew is tried again.
   */
  seed(authtoken: string, isWrittenAnew?: boolean): Promise<Result<Seeding>>;
  /** False while a copy on disk lacks what memory has. */
  isDurable(): boolean;
  /** Writes what is still missing on disk. */
  flush(): Promise<Result<void>>;
  readonly recovered: 'no' | 'slot' | 'lost';
  /** True while the files are encrypted under another key: they are left as they are, tokens live in memory. */
  isSealedAway(): boolean;
}

export interface TokenVaultOptions {
  readonly dir: string;
  readonly disk?: Disk;
  /** Given when there is a key from outside the state folder: then the tokens are encrypted at rest. */
  readonly cipher?: StateCipher;
}

const NAME = 'vault';

/** Keeps nothing: for as long as the files wait for their key. */
const memoryStore = (): MirroredStore<VaultState> => {
  let value: VaultState = EMPTY_VAULT;
  return {
    get: () => value,
    save: (next) => {
      value = next;
      return Promise.resolve(ok(undefined));
    },
    flush: () => Promise.resolve(ok(undefined)),
    isDurable: () => true,
    recovered: 'no',
  };
};

/**
 * Opens `vault.0.json` and `vault.1.json`. Never rejects: see `openStore`. Files that are encrypted under another key
 * stay where they are, so that the right key brings every token back, and memory serves in their place; a token that
 * comes by `rekey` is worth more than they are, and sets them aside.
 */
export const openTokenVault = async ({ dir, disk, cipher }: TokenVaultOptions): Promise<TokenVault> => {
  const openFiles = (): Promise<MirroredStore<VaultState>> =>
    openStore<VaultState>({
      dir,
      name: NAME,
      validate: readVault,
      initial: EMPTY_VAULT,
      ...(disk === undefined ? {} : { disk }),
      ...(cipher === undefined ? {} : { cipher }),
    });
  let sealed = await findSealedAway(copiesOf(dir, NAME), cipher, disk);
  let store = sealed === undefined ? await openFiles() : memoryStore();

  /** One transition after the other: each begins from what the one before has stored. */
  const enqueue = createSerial();

  const applyNow = async (transition: (state: VaultState) => VaultState): Promise<Result<VaultState>> => {
    const next = transition(store.get());
    if (sealed !== undefined && [next.a, next.b].some((slot) => slot?.source === 'rekey')) {
      await sealed.setAside();
      sealed = undefined;
      store = await openFiles();
    }
    const saved = await store.save(next);
    return saved.ok ? ok(store.get()) : saved;
  };

  const seedNow = async (authtoken: string, isWrittenAnew = false): Promise<Result<Seeding>> => {
    const digest = authtoken === '' ? '' : await sha256(authtoken);
    const seeding = seed(store.get(), authtoken, digest, isWrittenAnew);
    const saved = await store.save(seeding.state);
    return saved.ok ? ok(seeding) : saved;
  };

  return {
    state: () => store.get(),
    apply: (transition) => enqueue(() => applyNow(transition)),
    seed: (authtoken, isWrittenAnew) => enqueue(() => seedNow(authtoken, isWrittenAnew)),
    isDurable: () => store.isDurable(),
    flush: () => store.flush(),
    recovered: store.recovered,
    isSealedAway: () => sealed !== undefined,
  };
};
