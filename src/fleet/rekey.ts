/** Prepares a `rekey`: the next generation, and the token sealed to the device's pinned key. */
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { isSealableToken, sealToken } from '../protocol/seal.ts';
import type { DeviceRecord } from './device-book.ts';
import type { FleetLink } from './fleet-link.ts';
import { sealingKey } from './pin-device.ts';
import { readHello, readReported } from './read-device.ts';

export interface RekeyOptions {
  readonly device: string;
  readonly record: DeviceRecord;
  /** The new authtoken; a secret. */
  readonly token: string;
  /** ngrok's id of the credential, or empty. */
  readonly credentialId: string;
  /** Null takes the generation after the highest known. */
  readonly generation: number | null;
  readonly mode: 'overlap' | 'break-first' | null;
}

/** Arguments of the command. */
export interface RekeyArguments {
  readonly gen: number;
  readonly sealed: string;
  readonly mode?: 'overlap' | 'break-first';
}

/** Seals. Nothing is sent when the device's published key is not the pinned one. */
export const prepareRekey = async (
  link: FleetLink,
  options: RekeyOptions,
): Promise<Result<RekeyArguments>> => {
  const { device, record, token, credentialId, mode } = options;
  if (!isSealableToken(token))
    return failed(fault('BAD_ARGS', 'The token must be 1 to 512 printable characters.', false));
  const [hello, reported] = await Promise.all([
    readHello(link, device),
    options.generation === null ? readReported(link, device) : null,
  ]);
  const key = sealingKey(record.pin, hello, device);
  if (!key.ok) return key;
  // The seed from the device's file is generation 1.
  const gen = options.generation ?? Math.max(record.gen, reported?.cred.gen ?? 0, 1) + 1;
  const sealed = await sealToken({ tok: token, cid: credentialId, dev: device, gen }, key.value);
  return ok({ gen, sealed, ...(mode === null ? {} : { mode }) });
};
