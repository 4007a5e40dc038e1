/**
 * Whose signatures a device believes. Root keys come by file only and sign key sets; a key set names the keys that
 * sign daily traffic, with what each may do and until when. A set's version only rises.
 */
import { type Static, Type } from 'typebox';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { isKey32 } from './base64url.ts';
import { readEnvelope, signEnvelope, verifyEnvelope } from './envelope.ts';
import { KID_PATTERN } from './names.ts';
import { CLOSED, nameSchema, revSchema, secondsSchema } from './schema-primitives.ts';
import { type CryptoKey, importVerifier, type PublicSigningKey, type Signer } from './signing-key.ts';
import { parseStrictJson, readStrictJson } from './strict-json.ts';
import { type Checked, checker } from './validate.ts';

const kidSchema = Type.String({ pattern: KID_PATTERN });
const publicKeySchema = Type.String({ minLength: 43, maxLength: 43, pattern: '^[A-Za-z0-9_-]{43}$' });

const commandKeySchema = Type.Object(
  {
    kid: kidSchema,
    x: publicKeySchema,
    ops: Type.Array(Type.String({ pattern: '^([a-z][a-z0-9-]{0,15}|\\*)$' }), { maxItems: 32 }),
    groups: Type.Optional(Type.Array(Type.Union([nameSchema, Type.Literal('*')]), { maxItems: 64 })),
    nbf: Type.Optional(secondsSchema),
    exp: Type.Optional(secondsSchema),
  },
  CLOSED,
);

/** The payload of a key set's signature. */
export const keySetSchema = Type.Object(
  {
    v: Type.Optional(Type.Literal(1)),
    version: revSchema,
    expires: secondsSchema,
    keys: Type.Array(commandKeySchema, { maxItems: 32 }),
  },
  CLOSED,
);

const keysFileSchema = Type.Object(
  {
    v: Type.Literal(1),
    root: Type.Array(Type.Object({ kid: kidSchema, x: publicKeySchema }, CLOSED), {
      minItems: 1,
      maxItems: 8,
    }),
    set: Type.String({ minLength: 1, maxLength: 16_384 }),
  },
  CLOSED,
);

/**
 * One signing key. `ops` are command operations, `desired` for documents, `*` for everything; `groups` are the groups
 * whose topics the key may address (left out, empty or `*`: any); `nbf` and `exp` bound its life in epoch seconds.
 */
export type CommandKey = Static<typeof commandKeySchema>;
/** A key set: `version` rises with every change, `expires` is epoch seconds. */
export type KeySet = Static<typeof keySetSchema>;
/** `trust.keysFile`: the root keys, and the key set to begin with as a JWS by one of them. */
export type KeysFile = Static<typeof keysFileSchema>;

const checkKeySet = checker(keySetSchema);
const checkKeysFile = checker(keysFileSchema);

const hasRepeats = (kids: readonly { readonly kid: string }[]): boolean =>
  new Set(kids.map(({ kid }) => kid)).size !== kids.length;

/** Reads the text of `trust.keysFile`; a byte order mark in front is no harm. */
export const parseKeysFile = (text: string): Checked<KeysFile> => {
  const json = parseStrictJson(text.startsWith('\ufeff') ? text.slice(1) : text);
  if (!json.ok) return { ok: false, message: `is not usable JSON (${json.problem})` };
  const file = checkKeysFile(json.value);
  if (!file.ok) return file;
  if (hasRepeats(file.value.root)) return { ok: false, message: 'root must not name one kid twice' };
  if (!file.value.root.every(({ x }) => isKey32(x)))
    return { ok: false, message: 'root must hold Ed25519 keys' };
  return { ok: true, value: { ...file.value, set: file.value.set.trim() } };
};

/** Signs a key set with a root key. */
export const signKeySet = (set: KeySet, root: Signer): Promise<string> => signEnvelope('lk1-keys', set, root);

/** Verifies a key set against the root keys. `NOT_ALLOWED` for a signature that is none of theirs, `BAD_ARGS` for a bad body. */
export const openKeySet = async (
  jws: string,
  roots: readonly PublicSigningKey[],
): Promise<Result<KeySet>> => {
  const shape = readEnvelope(jws, 'lk1-keys');
  if (shape === undefined) return failed(fault('BAD_ARGS', 'the key set is not a signed key set', false));
  const root = roots.find(({ kid }) => kid === shape.kid);
  const payload = root && (await verifyEnvelope(shape, await importVerifier(root.x)));
  if (payload === undefined) {
    return failed(fault('NOT_ALLOWED', 'the key set is not signed by a root key of this device', false));
  }
  const json = readStrictJson(payload);
  if (!json.ok) return failed(fault('BAD_ARGS', `the key set is not usable JSON (${json.problem})`, false));
  const set = checkKeySet(json.value);
  if (!set.ok) return failed(fault('BAD_ARGS', `key set: ${set.message}`, false));
  if (hasRepeats(set.value.keys)) return failed(fault('BAD_ARGS', 'the key set names one kid twice', false));
  if (!set.value.keys.every(({ x }) => isKey32(x))) {
    return failed(fault('BAD_ARGS', 'the key set holds a key that is not Ed25519', false));
  }
  return ok(set.value);
};

/** A key as the judges use it: a command key with its limits, or a root key, which may only bring a new key set. */
export type RingKey =
  | { readonly role: 'command'; readonly verifier: CryptoKey; readonly limits: CommandKey }
  | { readonly role: 'root'; readonly verifier: CryptoKey };

/** What a device believes at one moment. Immutable: a new set makes a new one. */
export interface Trust {
  readonly roots: readonly PublicSigningKey[];
  readonly set: KeySet;
  /** The set as it was signed, for keeping in the state folder. */
  readonly jws: string;
  readonly ring: ReadonlyMap<string, RingKey>;
}

const makeTrust = async (set: KeySet, jws: string, roots: readonly PublicSigningKey[]): Promise<Trust> => {
  const ring = new Map<string, RingKey>();
  for (const { kid, x } of roots) ring.set(kid, { role: 'root', verifier: await importVerifier(x) });
  for (const limits of set.keys) {
    ring.set(limits.kid, { role: 'command', verifier: await importVerifier(limits.x), limits });
  }
  return { roots, set, jws, ring };
};

/**
 * Trust at start: the higher version of the file's set and the one kept in the state folder (undefined when none is).
 * A kept set that no root of the file signed is passed over: the roots were replaced. `CONFIG_INVALID` when none holds.
 */
export const openTrust = async (file: KeysFile, kept: string | undefined): Promise<Result<Trust>> => {
  const fromFile = await openKeySet(file.set, file.root);
  const fromState = kept === undefined ? undefined : await openKeySet(kept, file.root);
  if (
    kept !== undefined &&
    fromState?.ok &&
    (!fromFile.ok || fromState.value.version > fromFile.value.version)
  ) {
    return ok(await makeTrust(fromState.value, kept, file.root));
  }
  return fromFile.ok
    ? ok(await makeTrust(fromFile.value, file.set, file.root))
    : failed(fault('CONFIG_INVALID', `set: ${fromFile.fault.message}`, false));
};

/**
 * Trust after a `keys` command: the new one, or the same object when nothing changes. `GEN_STALE` for a lower version,
 * `REV_CONFLICT` for the same version with another content, `EXPIRED` for a set that is over at `nowS`.
 */
export const replaceKeySet = async (trust: Trust, jws: string, nowS: number): Promise<Result<Trust>> => {
  const opened = await openKeySet(jws, trust.roots);
  if (!opened.ok) return opened;
  const { version, expires } = opened.value;
  if (version < trust.set.version) {
    return failed(fault('GEN_STALE', `key set version ${version} is below ${trust.set.version}`, false));
  }
  if (version === trust.set.version) {
    return JSON.stringify(opened.value) === JSON.stringify(trust.set)
      ? ok(trust)
      : failed(fault('REV_CONFLICT', `another key set has version ${version} already`, false));
  }
  if (expires < nowS) return failed(fault('EXPIRED', 'the key set has expired', false));
  return ok(await makeTrust(opened.value, jws, trust.roots));
};

const allows = (list: readonly string[], item: string): boolean => list.includes(item) || list.includes('*');

/** Whether the key may sign this operation, for this group when it goes to one. */
export const isAllowed = (key: RingKey, op: string, group?: string): boolean => {
  if (key.role === 'root') return op === 'keys' && group === undefined;
  const { ops, groups = [] } = key.limits;
  return allows(ops, op) && (group === undefined || groups.length === 0 || allows(groups, group));
};
