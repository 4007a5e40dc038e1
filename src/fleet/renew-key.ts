/** A new device key without a visit: the device proves it with the old one, and only then is it pinned. */
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { isKey32 } from '../protocol/base64url.ts';
import { makeChallenge, proveKey } from '../protocol/key-proof.ts';
import { isKid } from '../protocol/names.ts';
import type { Signer } from '../protocol/signing-key.ts';
import type { DeviceBook, PinnedKey } from './device-book.ts';
import type { FleetLink } from './fleet-link.ts';
import { pinDevice } from './pin-device.ts';
import { type SendOptions, sendCommand } from './send-command.ts';

export interface RenewKeyOptions extends Pick<SendOptions, 'device' | 'nextSeq' | 'timeoutS' | 'onStatus'> {
  readonly signer: Signer | null;
}

const unanswered = (device: string): Result<never> =>
  failed(
    fault(
      'NOT_FINISHED',
      `The device ${device} did not answer in time. Run it again: the device then tells which key it uses, for a day after the change.`,
      true,
    ),
  );

/**
 * Asks the device for a new key and pins it. `PIN_MISSING` without a pin to begin from, `PIN_MISMATCH` when what answers
 * cannot prove that it holds the pinned key: then nothing is pinned.
 */
export const renewDeviceKey = async (
  link: FleetLink,
  book: DeviceBook,
  options: RenewKeyOptions,
): Promise<Result<PinnedKey>> => {
  const { device } = options;
  const record = await book.read(device);
  if (!record.ok) return record;
  const { pin } = record.value;
  if (pin === undefined)
    return failed(
      fault('PIN_MISSING', `No key is pinned for ${device}, so a new one cannot be proved.`, false),
    );
  const challenge = await makeChallenge(device, pin);
  const sent = await sendCommand(link, { ...options, op: 'newkey', args: { sealed: challenge.sealed } });
  if (!sent.ok) return sent;
  if (sent.value.kind === 'silent') return unanswered(device);
  const { status, code, msg, out } = sent.value.result;
  if (status !== 'succeeded')
    return failed(fault('NOT_FINISHED', `The device answers ${status} ${code ?? ''}: ${msg ?? ''}`, false));
  const { kid, x, proof } = out ?? {};
  const isKey = typeof kid === 'string' && isKid(kid) && typeof x === 'string' && isKey32(x);
  if (!isKey || proof !== (await proveKey(challenge.secret, device, { kid, x })))
    return failed(
      fault(
        'PIN_MISMATCH',
        `What answers for ${device} cannot prove that it holds the pinned key; nothing was pinned.`,
        false,
      ),
    );
  const pinned = await pinDevice(book, device, { kid, x }, true);
  return pinned.ok ? ok(pinned.value) : pinned;
};
