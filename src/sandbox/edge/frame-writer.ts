import type { Writable } from 'node:stream';
import { encodeHeader, FLAG_FIN, FLAG_SYN, FRAME_TYPE, type FrameType } from './frame.ts';

/** The edge was about to break the protocol. A bug of ours: an agent goes mute for good at such a frame. */
export class WriterAssertion extends Error {
  override readonly name = 'WriterAssertion';
}

/** An even id that is never opened: credit for it is ignored by the agent, but carries the TCP acknowledgement. */
const NO_OP_STREAM_ID = 0x7fff_fffe;
const LAST_STREAM_ID = NO_OP_STREAM_ID - 2;
/** Above this, data waits with its stream, so that a heartbeat never stands behind more than that. */
const CONGESTED_BYTES = 262_144;
const NO_BYTES = Buffer.alloc(0);

const word = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
};

const assert = (condition: boolean, message: string): void => {
  if (!condition) throw new WriterAssertion(message);
};

/**
 * Writes frames to the agent's connection and asserts on each that the agent can bear it. All frames of one turn of
 * the event loop leave together.
 */
export class FrameWriter {
  readonly #out: Writable;
  #lastOpened = 0;
  #lastAccepted = 0;
  #corked = false;
  #written = 0;

  constructor(out: Writable) {
    this.#out = out;
  }

  /** Number of frames written so far. */
  get written(): number {
    return this.#written;
  }

  /** True while the connection has enough to do; data should wait for the `drain` event of the connection. */
  get isCongested(): boolean {
    return this.#out.writableLength >= CONGESTED_BYTES;
  }

  /** Notes that the agent opened `streamId`, so that answers on it are legal. */
  accepted(streamId: number): void {
    assert(streamId % 2 === 1, `the agent opens odd ids, not ${streamId}`);
    this.#lastAccepted = Math.max(this.#lastAccepted, streamId);
  }

  /** Opens a stream with `head` in the SYN frame itself and returns its id. */
  open(head: Buffer): number {
    const streamId = this.#lastOpened + 2;
    assert(streamId <= LAST_STREAM_ID, 'stream ids are used up');
    this.frame(FRAME_TYPE.data, FLAG_SYN, streamId, head);
    return streamId;
  }

  data(streamId: number, payload: Buffer): void {
    this.frame(FRAME_TYPE.data, 0, streamId, payload);
  }

  fin(streamId: number): void {
    this.frame(FRAME_TYPE.data, FLAG_FIN, streamId, NO_BYTES);
  }

  credit(streamId: number, bytes: number): void {
    this.frame(FRAME_TYPE.windowIncrement, 0, streamId, word(bytes));
  }

  /** A frame without effect, so that the agent's TCP need not wait for a delayed acknowledgement. */
  noOp(): void {
    this.credit(NO_OP_STREAM_ID, 1);
  }

  goAway(code: number, text: string): void {
    this.frame(
      FRAME_TYPE.goAway,
      0,
      0,
      Buffer.concat([word(this.#lastAccepted), word(code), Buffer.from(text)]),
    );
  }

  /** The one door through which every frame passes. Throws `WriterAssertion` instead of writing a bad one. */
  frame(type: FrameType, flags: number, streamId: number, payload: Buffer): void {
    this.#check(type, flags, streamId, payload);
    if (!this.#corked) {
      this.#corked = true;
      this.#out.cork();
      setImmediate(() => {
        this.#corked = false;
        this.#out.uncork();
      });
    }
    this.#written += 1;
    this.#out.write(encodeHeader(type, flags, streamId, payload.length));
    if (payload.length > 0) this.#out.write(payload);
  }

  #check(type: number, flags: number, streamId: number, payload: Buffer): void {
    assert(type >= 0 && type <= FRAME_TYPE.goAway, `frame type ${type}`);
    assert((flags & ~(FLAG_FIN | FLAG_SYN)) === 0, `flags ${flags}`);
    if (type === FRAME_TYPE.goAway) {
      assert(
        streamId === 0 && flags === 0 && payload.length >= 8,
        'a GOAWAY belongs to stream 0 and has 8 bytes',
      );
      return;
    }
    assert(type !== FRAME_TYPE.rst, 'an agent leaks the stream that is reset');
    assert(streamId > 0, `a frame of type ${type} needs a stream id`);
    if (type === FRAME_TYPE.windowIncrement) assert(payload.length === 4, 'credit has 4 bytes');
    if ((flags & FLAG_SYN) !== 0) {
      assert(streamId % 2 === 0, `the edge opens even ids, not ${streamId}`);
      assert(streamId > this.#lastOpened, `stream ${streamId} was opened before`);
      this.#lastOpened = streamId;
      return;
    }
    const known = streamId % 2 === 0 ? this.#lastOpened : this.#lastAccepted;
    assert(
      streamId <= known || (streamId === NO_OP_STREAM_ID && type === FRAME_TYPE.windowIncrement),
      `stream ${streamId} was never opened`,
    );
  }
}
