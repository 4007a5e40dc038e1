/** The device's X25519 key pairs: made at the first start, kept twice, the one before the last kept for a day. */
import { type Static, Type } from 'typebox';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { type DeviceKey, deviceKid, isDeviceKeyPair, makeDeviceKey } from '../protocol/device-key.ts';
import { CLOSED } from '../protocol/schema-primitives.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import { checker } from '../protocol/validate.ts';
import type { Disk } from './disk.ts';
import { openStore } from './mirrored-store.ts';
import { createStateCipher, type StateCipher } from './state-cipher.ts';

/** A replaced private key still opens tokens for so long: one may be under way. */
export const OLD_KEY_KEPT_S = 86_400;

const keySchema = {
  kid: Type.String({ minLength: 1, maxLength: 64 }),
  kty: Type.Literal('OKP'),
  crv: Type.Literal('X25519'),
  x: Type.String({ minLength: 43, maxLength: 43 }),
  d: Type.String({ minLength: 43, maxLength: 43 }),
};
const keysSchema = Type.Object(
  {
    current: Type.Union([Type.Object(keySchema, CLOSED), Type.Null()]),
    previous: Type.Union([
      Type.Object({ ...keySchema, untilS: Type.Integer({ minimum: 0 }) }, CLOSED),
      Type.Null(),
    ]),
  },
  CLOSED,
);
type StoredKeys = Static<typeof keysSchema>;

const checkKeys = checker(keysSchema);
const checkCredential = checker(Type.Object({ ...keySchema, kid: Type.Optional(keySchema.kid) }, CLOSED));

export interface DeviceKeys {
  /** The pair that `hello.enc` announces. `d` is a secret. */
  current(): DeviceKey;
  /** Every pair that may still open a token at this time, epoch seconds. */
  openers(nowS: number): readonly DeviceKey[];
  /** Makes a new pair and keeps the old one for a day. `NOT_ALLOWED` when the key comes from a credential. */
  rotate(nowS: number): Promise<Result<DeviceKey>>;
  /** Where the private key lives: a credential that the host unlocks, or a 0600 file. `hello.store` says so. */
  readonly level: 'host' | 'file';
  /** For state at rest; undefined when the key lies beside that state, as it would hide nothing then. */
  readonly cipher: StateCipher | undefined;
  /** `lost`: both copies were damaged and a new key was made, which the fleet has yet to pin. */
  readonly recovered: 'no' | 'slot' | 'lost';
}

export interface DeviceKeysOptions {
  readonly dir: string;
  readonly disk?: Disk;
  /** Content of the credential that holds the key (a JWK with `d`), where there is one. */
  readonly credential?: string;
}

const CREDENTIAL_PURPOSE = 'vault';

const fromCredential = async (text: string): Promise<Result<DeviceKeys>> => {
  const json = parseStrictJson(text);
  const checked = json.ok ? checkCredential(json.value) : undefined;
  if (checked === undefined || !checked.ok) {
    return failed(fault('CONFIG_INVALID', 'the device key credential is not an X25519 JWK', false));
  }
  const { kid, ...pair } = checked.value;
  if (!(await isDeviceKeyPair(pair))) {
    return failed(fault('CONFIG_INVALID', 'the device key credential is not a matching pair', false));
  }
  const key: DeviceKey = { kid: kid ?? (await deviceKid(pair.x)), ...pair };
  return ok({
    current: () => key,
    openers: () => [key],
    rotate: () =>
      Promise.resolve(
        failed(fault('NOT_ALLOWED', 'the device key is a credential: replace it where it is made', false)),
      ),
    level: 'host',
    cipher: createStateCipher(Buffer.from(key.d, 'base64url'), CREDENTIAL_PURPOSE),
    recovered: 'no',
  });
};

/**
 * Opens `device-key.0.json` and `device-key.1.json`, or takes the credential. Makes a pair when there is none: then it
 * must be possible to store it, else `STORE_FAILED`. `CONFIG_INVALID` for an unusable credential.
 */
export const openDeviceKeys = async ({
  dir,
  disk,
  credential,
}: DeviceKeysOptions): Promise<Result<DeviceKeys>> => {
  if (credential !== undefined) return fromCredential(credential);
  const store = await openStore<StoredKeys>({
    dir,
    name: 'device-key',
    validate: (value) => {
      const checked = checkKeys(value);
      return checked.ok ? checked.value : undefined;
    },
    initial: { current: null, previous: null },
    ...(disk === undefined ? {} : { disk }),
  });

  const found = store.get().current;
  const isUsable = found !== null && (await isDeviceKeyPair(found));
  let key: DeviceKey = isUsable ? found : await makeDeviceKey();
  if (!isUsable) {
    const saved = await store.save({ current: key, previous: null });
    if (!saved.ok) return saved;
  }

  return ok({
    current: () => key,
    openers: (nowS) => {
      const { previous } = store.get();
      if (previous === null || previous.untilS < nowS) return [key];
      const { untilS: _, ...old } = previous;
      return [key, old];
    },
    rotate: async (nowS) => {
      const next = await makeDeviceKey();
      const saved = await store.save({ current: next, previous: { ...key, untilS: nowS + OLD_KEY_KEPT_S } });
      if (!saved.ok) return saved;
      key = next;
      return ok(next);
    },
    level: 'file',
    cipher: undefined,
    recovered: found !== null && !isUsable ? 'lost' : store.recovered,
  });
};
