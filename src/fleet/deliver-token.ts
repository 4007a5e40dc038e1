/** Brings a new authtoken to a device: sealed to its pinned key, signed, and followed until the device says how it went. */
import type { Clock } from '../core/clock.ts';
import { type Fault, failed, fault, type Result } from '../core/errors.ts';
import type { HelloMessage } from '../protocol/presence-schema.ts';
import type { ResultMessage } from '../protocol/result-schema.ts';
import { sealToken } from '../protocol/seal.ts';
import type { Signer } from '../protocol/signing-key.ts';
import { type DeviceBook, type PinnedKey, seqSource } from './device-book.ts';
import type { FleetLink } from './fleet-link.ts';
import { sealingKey } from './pin-device.ts';
import { sendCommand } from './send-command.ts';

/**
 * `taken`: the device says that it runs on it. `refused`: it surely does not, and never will on this message.
 * `unsure`: nobody knows; it may still happen.
 */
export type Delivery =
  | { readonly kind: 'taken'; readonly command: string }
  | { readonly kind: 'refused'; readonly fault: Fault; readonly command: string | null }
  | { readonly kind: 'unsure'; readonly fault: Fault; readonly command: string | null };

export interface DeliverOptions {
  readonly device: string;
  readonly gen: number;
  /** The authtoken; a secret. */
  readonly token: string;
  readonly credentialId: string;
  readonly key: PinnedKey;
  readonly timeoutS: number;
  readonly mode?: 'overlap' | 'break-first';
}

export interface DeliverPorts {
  readonly link: FleetLink;
  readonly signer: Signer | null;
  readonly book: DeviceBook;
  readonly clock: Clock;
}

/**
 * The key to seal to: the one pinned on this machine, else the one that the credential carries, which an operator
 * pinned; never the device's word alone. They must agree with each other and with what the device shows.
 */
export const pinFor = (
  local: PinnedKey | undefined,
  carried: PinnedKey | undefined,
  hello: HelloMessage | null,
  device: string,
): Result<PinnedKey> => {
  if (local !== undefined && carried !== undefined && local.x !== carried.x)
    return failed(
      fault(
        'PIN_MISMATCH',
        `For ${device} another key is pinned here than its credential carries; nothing was sent.`,
        false,
      ),
    );
  return sealingKey(local ?? carried, hello, device);
};

/** After these the same message may still take effect on the device. */
const OPEN_CODES: ReadonlySet<string> = new Set(['DEADLINE', 'INTERNAL']);

const faultOf = ({ code, msg, status }: ResultMessage): Fault => ({
  // Codes of results are those of faults; one of a newer device is passed on as it is.
  code: (code ?? 'INTERNAL') as Fault['code'],
  message: msg ?? `The device says ${status}.`,
  retryable: false,
});

const judge = (result: ResultMessage): Delivery => {
  const { status, id } = result;
  if (status === 'succeeded') return { kind: 'taken', command: id };
  const why = faultOf(result);
  const isOpen = status === 'unknown' || (status === 'failed' && OPEN_CODES.has(result.code ?? ''));
  return { kind: isOpen ? 'unsure' : 'refused', fault: why, command: id };
};

/** Seals, signs, sends, waits. Rejects only on bugs. */
export const deliverToken = async (ports: DeliverPorts, options: DeliverOptions): Promise<Delivery> => {
  const { link, signer, book, clock } = ports;
  const { device, gen, key } = options;
  const sealed = await sealToken({ tok: options.token, cid: options.credentialId, dev: device, gen }, key);
  const sent = await sendCommand(link, {
    device,
    op: 'rekey',
    args: { gen, sealed, ...(options.mode === undefined ? {} : { mode: options.mode }) },
    signer,
    nextSeq: seqSource(book, device, signer, clock),
    timeoutS: options.timeoutS,
    clock,
  });
  // The broker may have it although it did not say so.
  if (!sent.ok) return { kind: 'unsure', fault: sent.fault, command: null };
  if (sent.value.kind === 'done') return judge(sent.value.result);
  const { last, id } = sent.value;
  const state = last === null ? 'has not answered' : `only said ${last.status}`;
  return { kind: 'unsure', fault: fault('DEADLINE', `${device} ${state} in time.`, true), command: id };
};
