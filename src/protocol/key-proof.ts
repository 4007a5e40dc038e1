/**
 * How a device proves that its new key comes from it: a challenge is sealed to the key that is pinned, and whoever could
 * open it authenticates the new one with it. A broker, and whoever reads or writes there, can do neither.
 */
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { toBase64url } from './base64url.ts';
import type { DeviceKey, DevicePublicKey } from './device-key.ts';
import { sealToken, unsealToken } from './seal.ts';

/** Inside the seal, so that an authtoken can never be taken for a challenge, nor a challenge for an authtoken. */
const PURPOSE = 'newkey';
const NO_GENERATION = 0;
const CHALLENGE_BYTES = 32;

/** A challenge: `secret` stays with the operator, `sealed` goes to the device. */
export interface KeyChallenge {
  readonly secret: string;
  readonly sealed: string;
}

/** Makes a challenge for the device that holds the private half of `to`. */
export const makeChallenge = async (
  device: string,
  to: Pick<DevicePublicKey, 'kid' | 'x'>,
): Promise<KeyChallenge> => {
  const secret = toBase64url(crypto.getRandomValues(new Uint8Array(CHALLENGE_BYTES)));
  return {
    secret,
    sealed: await sealToken({ tok: secret, cid: PURPOSE, dev: device, gen: NO_GENERATION }, to),
  };
};

/** The challenge's secret, or `UNSEAL_FAILED` when it is for none of `keys`, or is no challenge. */
export const openChallenge = async (
  sealed: string,
  keys: readonly DeviceKey[],
  device: string,
): Promise<Result<string>> => {
  const opened = await unsealToken(sealed, keys, { dev: device, gen: NO_GENERATION });
  if (!opened.ok) return opened;
  return opened.value.cid === PURPOSE
    ? ok(opened.value.tok)
    : failed(fault('UNSEAL_FAILED', 'what was sealed is no challenge for a new key', false));
};

/** HMAC-SHA256 over device and public key under the challenge's secret, base64url. */
export const proveKey = async (
  secret: string,
  device: string,
  { kid, x }: Pick<DevicePublicKey, 'kid' | 'x'>,
): Promise<string> => {
  const text = new TextEncoder();
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', text.encode(secret), algorithm, false, ['sign']);
  const said = text.encode(JSON.stringify(['lk1-newkey', device, kid, x]));
  return toBase64url(new Uint8Array(await crypto.subtle.sign('HMAC', key, said)));
};
