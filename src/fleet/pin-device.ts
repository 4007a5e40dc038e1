/** Which key a device's tokens are sealed to: pinned once from a trustworthy source, never taken from the broker alone. */
import { readFile } from 'node:fs/promises';
import { readJsonFile } from '../config/text-file.ts';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { isKey32 } from '../protocol/base64url.ts';
import { deviceFingerprint } from '../protocol/device-key.ts';
import { isKid } from '../protocol/names.ts';
import type { HelloMessage } from '../protocol/presence-schema.ts';
import { isRecord } from '../protocol/strict-json.ts';
import type { DeviceBook, PinnedKey } from './device-book.ts';

const MAX_BYTES = 8192;

/** Reads what `lockkeeperd --init` printed: `{"id","kid","x","fingerprint"}`. A named id must be the device's. */
export const readDeviceKeyFile = async (path: string, device: string): Promise<Result<PinnedKey>> => {
  const invalid = (message: string) => failed(fault('BAD_ARGS', message, false));
  const json = await readJsonFile(readFile, path, MAX_BYTES);
  if (!json.ok) return invalid(`The device key file ${json.problem}.`);
  if (!isRecord(json.value)) return invalid(`The device key file ${path} holds no key.`);
  const { id, kid, x, fingerprint, d } = json.value;
  if (d !== undefined) return invalid(`${path} holds a private key; it must not leave the device.`);
  if (typeof kid !== 'string' || !isKid(kid) || typeof x !== 'string' || !isKey32(x))
    return invalid(`The device key file ${path} holds no key.`);
  if (id !== undefined && id !== device)
    return invalid(`The key in ${path} is of another device than ${device}.`);
  if (fingerprint !== undefined && fingerprint !== (await deviceFingerprint(x)))
    return invalid(`The fingerprint in ${path} does not belong to its key.`);
  return ok({ kid, x });
};

const plain = (fingerprint: string): string => fingerprint.replace(/[^0-9a-fA-F]/g, '').toLowerCase();

/** The key of a retained hello, if its fingerprint is the one that was compared by another way. */
export const keyFromHello = async (
  hello: HelloMessage | null,
  device: string,
  fingerprint: string | null,
): Promise<Result<PinnedKey>> => {
  const enc = hello?.enc;
  if (enc === undefined || !isKey32(enc.x) || !isKid(enc.kid))
    return failed(fault('PIN_MISSING', `The device ${device} publishes no key.`, true));
  const seen = await deviceFingerprint(enc.x);
  return fingerprint === null || plain(fingerprint) === plain(seen)
    ? ok({ kid: enc.kid, x: enc.x })
    : failed(
        fault('PIN_MISMATCH', `The device ${device} publishes a key with the fingerprint ${seen}.`, false),
      );
};

/** Stores the pin. A different one that is there stays, unless `isReplacing`. */
export const pinDevice = async (
  book: DeviceBook,
  device: string,
  key: PinnedKey,
  isReplacing: boolean,
): Promise<Result<PinnedKey>> => {
  const before = await book.read(device);
  if (!before.ok) return before;
  const { pin } = before.value;
  if (pin !== undefined && pin.x !== key.x && !isReplacing)
    return failed(
      fault(
        'PIN_MISMATCH',
        `Another key is pinned for ${device}; --replace puts this one in its place.`,
        false,
      ),
    );
  const stored = await book.update(device, (record) => ({ ...record, pin: key }));
  return stored.ok ? ok(key) : stored;
};

/** The key to seal to. `PIN_MISSING` says how to pin; `PIN_MISMATCH` when the device shows another key than the pin. */
export const sealingKey = (
  pin: PinnedKey | undefined,
  hello: HelloMessage | null,
  device: string,
): Result<PinnedKey> => {
  if (pin === undefined)
    return failed(
      fault(
        'PIN_MISSING',
        `No key is pinned for ${device}: lockkeeper device pin ${device} --device-key FILE, with what lockkeeperd --init prints there.`,
        false,
      ),
    );
  const enc = hello?.enc;
  return enc === undefined || (enc.x === pin.x && enc.kid === pin.kid)
    ? ok(pin)
    : failed(
        fault(
          'PIN_MISMATCH',
          `The device ${device} publishes another key than the pinned one; nothing was sent. Compare fingerprints before you pin anew.`,
          false,
        ),
      );
};
