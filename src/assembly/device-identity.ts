/** The device's key pair in use: what it shows of itself, and how it takes another one without a visit. */
import { ok } from '../core/errors.ts';
import { createSerial } from '../core/serial.ts';
import type { DeviceIdentity, KeyProof } from '../daemon/options.ts';
import { deviceFingerprint, publicDeviceKey } from '../protocol/device-key.ts';
import { openChallenge, proveKey } from '../protocol/key-proof.ts';
import type { DeviceKeys } from '../vault/device-keys.ts';

export const createDeviceIdentity = async (device: string, keys: DeviceKeys): Promise<DeviceIdentity> => {
  let fingerprint = await deviceFingerprint(keys.current().x);

  const prove = async (secret: string): Promise<KeyProof> => {
    const { kid, x } = keys.current();
    return { kid, x, proof: await proveKey(secret, device, { kid, x }) };
  };

  const renew: DeviceIdentity['renew'] = async (sealed, nowS) => {
    const secret = await openChallenge(sealed, [keys.current()], device);
    if (!secret.ok) {
      // Sealed to the key before: an earlier answer was lost, and its sender must learn which key is in use.
      const late = await openChallenge(sealed, keys.openers(nowS), device);
      return late.ok ? ok(await prove(late.value)) : late;
    }
    const renewed = await keys.rotate(nowS);
    if (!renewed.ok) return renewed;
    fingerprint = await deviceFingerprint(keys.current().x);
    return ok(await prove(secret.value));
  };

  // Of two at once each would make a key, and the second take the pinned one out of its day of grace.
  const enqueue = createSerial();
  return {
    publicKey: () => publicDeviceKey(keys.current()),
    fingerprint: () => fingerprint,
    renew: (sealed, nowS) => enqueue(() => renew(sealed, nowS)),
  };
};
