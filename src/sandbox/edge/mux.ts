import type { Duplex } from 'node:stream';
import { FRAME_TYPE, type Frame, FrameDecoder, FrameError, readIncrement } from './frame.ts';
import { FrameWriter } from './frame-writer.ts';
import { MuxStream, type StreamCarrier } from './stream.ts';

/** An agent keeps at most 512 streams; one that holds more is broken. */
const MOST_STREAMS = 1_024;

/** Why a connection ended, seen from the multiplexer. */
export type MuxEnd = 'closed' | 'protocol' | 'go-away';

export interface MuxOptions {
  /** Answers each read that caused no frame with a no-op frame, so that the agent's small writes need not wait. */
  readonly noOpAck: () => boolean;
  readonly onStream: (stream: MuxStream) => void;
  /** A stream ended in both directions: there is room for another. */
  readonly onStreamEnd: () => void;
  /** Called once; `detail` is for logs. The owner closes the connection. */
  readonly onEnd: (end: MuxEnd, detail: string) => void;
}

/** Many streams over one connection. */
export class Mux implements StreamCarrier {
  readonly #options: MuxOptions;
  readonly #writer: FrameWriter;
  readonly #decoder = new FrameDecoder((frame) => this.#onFrame(frame));
  readonly #streams = new Map<number, MuxStream>();
  readonly #waiting = new Set<MuxStream>();
  #ended = false;

  constructor(socket: Duplex, options: MuxOptions) {
    this.#options = options;
    this.#writer = new FrameWriter(socket);
    socket.on('data', (chunk: Buffer) => this.#onBytes(chunk));
    socket.on('drain', () => this.#giveRoom());
    socket.on('end', () => this.end('closed', 'the agent closed the connection'));
    socket.on('error', (error: Error) => this.end('closed', error.message));
    socket.on('close', () => this.end('closed', 'the connection closed'));
  }

  /** Streams that have not ended in both directions. */
  get size(): number {
    return this.#streams.size;
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  get isCongested(): boolean {
    return this.#writer.isCongested;
  }

  /** Opens a stream with `head` whole in its SYN frame. Throws when the connection has ended. */
  open(head: Buffer): MuxStream {
    if (this.#ended) throw new Error("the agent's connection has ended");
    const stream = new MuxStream(this.#writer.open(head), this, { headBytes: head.length });
    this.#streams.set(stream.id, stream);
    return stream;
  }

  /** Tells the agent to dial anew; it keeps this connection until it has bound its endpoints again. */
  goAway(code: number, text: string): void {
    if (!this.#ended) this.#writer.goAway(code, text);
  }

  /** Ends all streams. Idempotent. */
  end(end: MuxEnd, detail: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting.clear();
    for (const stream of [...this.#streams.values()]) stream.lose(detail);
    this.#options.onEnd(end, detail);
  }

  data(streamId: number, payload: Buffer): void {
    if (!this.#ended) this.#writer.data(streamId, payload);
  }

  fin(streamId: number): void {
    if (!this.#ended) this.#writer.fin(streamId);
  }

  credit(streamId: number, bytes: number): void {
    if (!this.#ended) this.#writer.credit(streamId, bytes);
  }

  waitForRoom(stream: MuxStream): void {
    this.#waiting.add(stream);
  }

  finished(stream: MuxStream): void {
    this.#streams.delete(stream.id);
    this.#waiting.delete(stream);
    if (!this.#ended) this.#options.onStreamEnd();
  }

  #onBytes(chunk: Buffer): void {
    if (this.#ended) return;
    const before = this.#writer.written;
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.end('protocol', error.message);
      return;
    }
    if (!this.#ended && this.#writer.written === before && this.#options.noOpAck()) this.#writer.noOp();
  }

  #onFrame(frame: Frame): void {
    if (this.#ended) return;
    if (frame.type === FRAME_TYPE.goAway) {
      this.end('go-away', 'the agent sent GOAWAY');
      return;
    }
    const stream = frame.syn ? this.#accept(frame.streamId) : this.#streams.get(frame.streamId);
    if (stream === undefined) {
      // Late data of a stream that both sides gave up: the agent still wants its credit back.
      if (frame.type === FRAME_TYPE.data && frame.payload.length > 0)
        this.#writer.credit(frame.streamId, frame.payload.length);
      return;
    }
    if (frame.type === FRAME_TYPE.rst) {
      stream.lose('the agent reset the stream');
      return;
    }
    if (frame.type === FRAME_TYPE.windowIncrement) {
      stream.grant(readIncrement(frame.payload));
      return;
    }
    stream.receive(frame.payload, frame.fin);
    if (stream.isOverrun) throw new FrameError(`stream ${stream.id} exceeds its window`);
  }

  #accept(streamId: number): MuxStream {
    if (this.#streams.has(streamId)) throw new FrameError(`stream ${streamId} was opened twice`);
    if (streamId % 2 === 0) throw new FrameError(`the agent opened the even stream ${streamId}`);
    if (this.#streams.size >= MOST_STREAMS) throw new FrameError('too many streams');
    this.#writer.accepted(streamId);
    const stream = new MuxStream(streamId, this, 'urgent');
    this.#streams.set(streamId, stream);
    this.#options.onStream(stream);
    return stream;
  }

  /** Lets waiting streams send one payload each, in turn, until the connection is full again. */
  #giveRoom(): void {
    while (!this.isCongested) {
      const [stream] = this.#waiting;
      if (stream === undefined) return;
      this.#waiting.delete(stream);
      if (stream.pump(true)) this.#waiting.add(stream);
    }
  }
}
