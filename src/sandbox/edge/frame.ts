/**
 * Frames of the agent's multiplexer: an 8-byte header (24-bit length, type and flags, 31-bit stream id), then the
 * payload. Pure: bytes in, frames out.
 */

export const FRAME_TYPE = { rst: 0, data: 1, windowIncrement: 2, goAway: 3 } as const;
export type FrameType = (typeof FRAME_TYPE)[keyof typeof FRAME_TYPE];

export const FLAG_FIN = 1;
export const FLAG_SYN = 2;

export const HEADER_BYTES = 8;
/** Credit each direction of a stream starts with; also the longest payload that an agent may send. */
export const INITIAL_WINDOW_BYTES = 262_144;

const NO_BYTES = Buffer.alloc(0);
const STREAM_ID_MASK = 0x7fff_ffff;

/** One whole frame. `payload` may share memory with the chunk it came in. */
export interface Frame {
  readonly type: FrameType;
  readonly fin: boolean;
  readonly syn: boolean;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** The agent broke the framing; the connection cannot be used any further. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

const asFrameType = (value: number): FrameType => {
  if (value !== 0 && value !== 1 && value !== 2 && value !== 3)
    throw new FrameError(`frame type ${value} is invalid`);
  return value;
};

/** Builds a header. `flags` is a sum of `FLAG_FIN` and `FLAG_SYN`. */
export const encodeHeader = (type: FrameType, flags: number, streamId: number, length: number): Buffer => {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32BE(length * 256 + type * 16 + flags, 0);
  header.writeUInt32BE(streamId, 4);
  return header;
};

/** A u32 payload: the increment of a window frame (its top bit does not count), the code of a reset. */
export const readWord = (payload: Buffer): number => payload.readUInt32BE(0);
export const readIncrement = (payload: Buffer): number => readWord(payload) & STREAM_ID_MASK;

/**
 * Turns bytes into frames, however they are split. A payload that lies within one chunk is handed on without a copy.
 * Stops for good at the first GOAWAY: the agent announces a wrong length in it.
 */
export class FrameDecoder {
  readonly #emit: (frame: Frame) => void;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFilled = 0;
  #type: FrameType = FRAME_TYPE.data;
  #flags = 0;
  #streamId = 0;
  #missing = 0;
  #parts: Buffer[] = [];
  #ended = false;

  constructor(emit: (frame: Frame) => void) {
    this.#emit = emit;
  }

  /** Feeds a chunk; throws `FrameError` when the agent breaks the framing. */
  push(chunk: Buffer): void {
    let at = 0;
    while (!this.#ended) {
      if (this.#headerFilled < HEADER_BYTES) {
        const taken = this.#fillHeader(chunk, at);
        at += taken;
        if (this.#headerFilled < HEADER_BYTES) return;
        this.#parseHeader();
      }
      const end = Math.min(chunk.length, at + this.#missing);
      if (end - at < this.#missing) {
        if (end > at) this.#parts.push(chunk.subarray(at, end));
        this.#missing -= end - at;
        return;
      }
      this.#complete(chunk.subarray(at, end));
      at = end;
    }
  }

  #fillHeader(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#header, this.#headerFilled, at, at + HEADER_BYTES - this.#headerFilled);
    this.#headerFilled += taken;
    return taken;
  }

  #parseHeader(): void {
    const word = this.#header.readUInt32BE(0);
    const length = word >>> 8;
    this.#type = asFrameType((word >>> 4) & 0xf);
    this.#flags = word & 0xf;
    this.#streamId = this.#header.readUInt32BE(4) & STREAM_ID_MASK;
    this.#missing = length;
    if (length > INITIAL_WINDOW_BYTES)
      throw new FrameError(`a payload of ${length} bytes exceeds the window`);
    if (this.#type === FRAME_TYPE.goAway) return;
    if (this.#streamId === 0) throw new FrameError(`a frame of type ${this.#type} needs a stream id`);
    if (this.#type !== FRAME_TYPE.data && length !== 4)
      throw new FrameError(`a frame of type ${this.#type} has 4 bytes, not ${length}`);
  }

  #complete(last: Buffer): void {
    const payload = this.#gather(last);
    this.#headerFilled = 0;
    this.#missing = 0;
    if (this.#type === FRAME_TYPE.goAway) this.#ended = true;
    this.#emit({
      type: this.#type,
      fin: (this.#flags & FLAG_FIN) !== 0,
      syn: (this.#flags & FLAG_SYN) !== 0,
      streamId: this.#streamId,
      payload,
    });
  }

  #gather(last: Buffer): Buffer {
    if (this.#parts.length === 0) return last.length === 0 ? NO_BYTES : last;
    const whole = Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    return whole;
  }
}
