/** The device's own key pair (X25519), to which tokens are sealed. */
import { toBase64url } from './base64url.ts';
import { sha256 } from './signing-key.ts';

/** The public half, as `hello.enc` carries it and an operator pins it. `x` is base64url, 32 bytes. */
export interface DevicePublicKey {
  readonly kid: string;
  readonly kty: 'OKP';
  readonly crv: 'X25519';
  readonly x: string;
}

/** The whole pair as it is stored. `d` is a secret. */
export interface DeviceKey extends DevicePublicKey {
  readonly d: string;
}

type CryptoKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** The key's id: `e` and 8 hex digits that follow from the public key, so two keys never share one by accident. */
export const deviceKid = async (x: string): Promise<string> =>
  `e${Buffer.from(await sha256(x), 'base64url')
    .toString('hex')
    .slice(0, 8)}`;

/** Makes a pair from the system's random source. */
export const makeDeviceKey = async (): Promise<DeviceKey> => {
  const pair = (await crypto.subtle.generateKey('X25519', true, ['deriveBits'])) as {
    readonly privateKey: CryptoKey;
  };
  const { x, d } = await crypto.subtle.exportKey('jwk', pair.privateKey);
  if (x === undefined || d === undefined) throw new TypeError('an X25519 key exports x and d');
  return { kid: await deviceKid(x), kty: 'OKP', crv: 'X25519', x, d };
};

/** Without the secret. */
export const publicDeviceKey = ({ kid, kty, crv, x }: DevicePublicKey): DevicePublicKey => ({
  kid,
  kty,
  crv,
  x,
});

/** For people to compare over the phone: half of SHA-256 of the public key, eight groups of four hex digits. */
export const deviceFingerprint = async (x: string): Promise<string> => {
  const hex = Buffer.from(await sha256(Buffer.from(x, 'base64url')), 'base64url').toString('hex');
  return (hex.slice(0, 32).match(/.{4}/g) ?? []).join('-');
};

/** True when `d` is the private half of `x`: a pair read from a file is checked before it is trusted. */
export const isDeviceKeyPair = async ({ x, d }: Pick<DeviceKey, 'x' | 'd'>): Promise<boolean> => {
  try {
    const jwk = { kty: 'OKP', crv: 'X25519' };
    const mine = await crypto.subtle.importKey('jwk', { ...jwk, x, d }, 'X25519', false, ['deriveBits']);
    const other = (await crypto.subtle.generateKey('X25519', false, ['deriveBits'])) as {
      readonly privateKey: CryptoKey;
      readonly publicKey: CryptoKey;
    };
    const theirs = await crypto.subtle.importKey('jwk', { ...jwk, x }, 'X25519', true, []);
    const [one, two] = await Promise.all([
      crypto.subtle.deriveBits({ name: 'X25519', public: other.publicKey }, mine, 256),
      crypto.subtle.deriveBits({ name: 'X25519', public: theirs }, other.privateKey, 256),
    ]);
    return toBase64url(new Uint8Array(one)) === toBase64url(new Uint8Array(two));
  } catch {
    return false;
  }
};
