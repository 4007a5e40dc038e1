/** `lockkeeperd --init`: the device's key pair, made if there is none. */
import { loadConfigHere } from '../config/main-check.ts';
import { failed, ok, type Result } from '../core/errors.ts';
import { deviceFingerprint } from '../protocol/device-key.ts';
import { openDeviceKeys } from '../vault/device-keys.ts';
import { openStateDir } from '../vault/state-dir.ts';
import { readDeviceKey } from './device-key-file.ts';

/** What an operator pins. */
export interface DeviceIdentity {
  readonly id: string;
  readonly kid: string;
  readonly x: string;
  readonly fingerprint: string;
}

export const initDevice = async (file: string): Promise<Result<DeviceIdentity>> => {
  const loaded = await loadConfigHere(file);
  if (!loaded.ok) return failed(loaded.fault);
  const { stateDir, device } = loaded.value.config;
  const credential = await readDeviceKey(loaded.value.config, process.env);
  if (!credential.ok) return credential;
  const dir = await openStateDir(stateDir);
  // A running daemon holds the folder, and has made the key: reading it disturbs nobody.
  if (!dir.ok && !dir.fault.retryable) return dir;
  const keys = await openDeviceKeys({ dir: stateDir, ...credential.value });
  if (dir.ok) await dir.value.release();
  if (!keys.ok) return keys;
  const { kid, x } = keys.value.current();
  return ok({ id: device.id, kid, x, fingerprint: await deviceFingerprint(x) });
};
