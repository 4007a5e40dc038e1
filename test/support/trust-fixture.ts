/** Keys and trust for tests: one root, one operator key for everything, one that may only stop. */
import type { Command, Op } from '../../src/protocol/command-schema.ts';
import { signEnvelope } from '../../src/protocol/envelope.ts';
import {
  type CommandKey,
  type KeySet,
  type KeysFile,
  openTrust,
  signKeySet,
  type Trust,
} from '../../src/protocol/keyset.ts';
import {
  importSigner,
  makeSigningKey,
  type Signer,
  type SigningKeyFile,
} from '../../src/protocol/signing-key.ts';

/** 2024-11-24, the tests' now. */
export const NOW_S = 1_732_430_000;
export const DEVICE = 'press-7';
export const TENANT = 'acme';
export const BOOT = '9f3c1a7e5b2d4c60';

export interface TrustFixture {
  readonly rootFile: SigningKeyFile;
  readonly root: Signer;
  readonly ops: Signer;
  readonly opsFile: SigningKeyFile;
  readonly noc: Signer;
  readonly stranger: Signer;
  readonly set: KeySet;
  readonly file: KeysFile;
  readonly trust: Trust;
}

/** Builds trust from a key set made of the two keys, changed by `change`. */
export const makeTrustFixture = async (
  change: (set: KeySet) => KeySet = (set) => set,
): Promise<TrustFixture> => {
  const [rootFile, opsFile, nocFile, strangerFile] = await Promise.all(
    (['root-1', 'ops-1', 'noc-1', 'stranger'] as const).map(makeSigningKey),
  );
  if (!rootFile || !opsFile || !nocFile || !strangerFile) throw new TypeError('four keys');
  const [root, ops, noc, stranger] = await Promise.all(
    [rootFile, opsFile, nocFile, strangerFile].map(importSigner),
  );
  if (!root || !ops || !noc || !stranger) throw new TypeError('four signers');
  const key = (
    { kid, x }: SigningKeyFile,
    ops: readonly string[],
    more: Partial<CommandKey> = {},
  ): CommandKey => ({
    kid,
    x,
    ops: [...ops],
    groups: [],
    nbf: NOW_S - 1000,
    exp: NOW_S + 100_000,
    ...more,
  });
  const set = change({
    version: 3,
    expires: NOW_S + 200_000,
    keys: [
      key(opsFile, [
        'ping',
        'start',
        'stop',
        'restart',
        'rekey',
        'report',
        'cancel',
        'resync',
        'keys',
        'desired',
      ]),
      key(nocFile, ['stop', 'ping'], { groups: ['lab'] }),
    ],
  });
  const file: KeysFile = { v: 1, root: [{ kid: 'root-1', x: rootFile.x }], set: await signKeySet(set, root) };
  const trust = await openTrust(file, undefined);
  if (!trust.ok) throw new Error(trust.fault.message);
  return { rootFile, root, ops, opsFile, noc, stranger, set, file, trust: trust.value };
};

let lastId = 0;
/** A fresh ULID each time. */
export const nextId = (): string => `01JF0K8ZQ4M9T2V5X7B3${String(++lastId).padStart(6, '0')}`;

/** A command body for the device, good at `NOW_S`. */
export const commandBody = (
  op: Op | string,
  more: Partial<Omit<Command, 'args' | 'op'>> & { readonly args?: object } = {},
) => ({ v: 1, id: nextId(), to: `d:${DEVICE}`, op, iat: NOW_S, exp: NOW_S + 300, seq: 100, ...more });

/** Signs a body as a command. */
export const signCommand = (body: object, signer: Signer): Promise<string> =>
  signEnvelope('lk1-cmd', body, signer);
