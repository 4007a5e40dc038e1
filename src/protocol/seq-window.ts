/**
 * Replay guard: which sequence numbers of one signer and audience have been used, as the highest and a bitmap of the
 * 64 up to it. Late ones within the window pass once, older ones never.
 */

/** Serialisable. `bits` is hex: bit n set means `top - n` was used. */
export interface SeqWindow {
  readonly top: number;
  readonly bits: string;
}

/** How far behind the highest number one may be. */
export const SEQ_WINDOW_SIZE = 64;

const MASK = (1n << BigInt(SEQ_WINDOW_SIZE)) - 1n;

/** Marks `seq` as used: the window after it, or undefined when it was used before or is too old to tell. */
export const acceptSeq = (window: SeqWindow | undefined, seq: number): SeqWindow | undefined => {
  if (window === undefined) return { top: seq, bits: '1' };
  const bits = BigInt(`0x${window.bits}`);
  const ahead = seq - window.top;
  if (ahead > 0) {
    const shifted = ahead >= SEQ_WINDOW_SIZE ? 0n : (bits << BigInt(ahead)) & MASK;
    return { top: seq, bits: (shifted | 1n).toString(16) };
  }
  if (-ahead >= SEQ_WINDOW_SIZE) return undefined;
  const bit = 1n << BigInt(-ahead);
  return (bits & bit) === 0n ? { top: window.top, bits: (bits | bit).toString(16) } : undefined;
};

/** True for a window as it is stored. */
export const isSeqWindow = (value: unknown): value is SeqWindow => {
  const { top, bits } = (value ?? {}) as Partial<Record<keyof SeqWindow, unknown>>;
  return Number.isSafeInteger(top) && typeof bits === 'string' && /^[0-9a-f]{1,16}$/.test(bits);
};

/** All windows of a device by `seqKey`. */
export type SeqWindows = Readonly<Record<string, SeqWindow>>;

/** The window a command counts in: one per signing key and audience. */
export const seqKey = (issuer: string, to: string): string => `${issuer} ${to}`;
