import { Duplex } from 'node:stream';
import { INITIAL_WINDOW_BYTES } from './frame.ts';

/** Longest payload the edge sends, so that streams share the connection fairly. */
const LARGEST_PAYLOAD_BYTES = 32_768;
/** Credit is returned in steps of this size. */
const CREDIT_STEP_BYTES = 32_768;
const BUFFER_BYTES = 65_536;

/** What a stream needs of its connection. */
export interface StreamCarrier {
  readonly isCongested: boolean;
  data(streamId: number, payload: Buffer): void;
  fin(streamId: number): void;
  credit(streamId: number, bytes: number): void;
  /** Asks to call `pump` again once the connection has room. */
  waitForRoom(stream: MuxStream): void;
  /** Both directions have ended: the stream's slot is free. */
  finished(stream: MuxStream): void;
}

/** An error of the other side, in the form in which a broken TCP connection shows itself. */
export const connectionReset = (message: string): Error =>
  Object.assign(new Error(message), { code: 'ECONNRESET' });

/**
 * One stream of an agent's connection. Half-open; writes wait for the agent's credit, and credit is returned only for
 * what the reader has consumed. `destroy()` never resets: the agent would leak the stream. It ends the edge's
 * direction and swallows the rest until the agent ends its own.
 */
export class MuxStream extends Duplex {
  readonly id: number;
  readonly #carrier: StreamCarrier;
  /** Called once, at the first sign that the agent's application has accepted the stream. */
  onTaken: (() => void) | null = null;
  readonly #isUrgent: boolean;
  readonly #headBytes: number;
  #sendCredit: number;
  #creditSeen = 0;
  #received = 0;
  #credited = 0;
  #finSent = false;
  #finReceived = false;
  #lost = false;
  #unsent: Buffer[] = [];
  #written: ((error?: Error | null) => void) | null = null;

  /**
   * `headBytes` is what the SYN frame of an edge's stream carried: it costs credit, and credit for it proves nothing.
   * An urgent stream, one that the agent opened for beats and calls, does not wait behind the data of others.
   */
  constructor(id: number, carrier: StreamCarrier, kind: { headBytes: number } | 'urgent') {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: BUFFER_BYTES,
      writableHighWaterMark: BUFFER_BYTES,
    });
    this.id = id;
    this.#carrier = carrier;
    this.#isUrgent = kind === 'urgent';
    this.#headBytes = kind === 'urgent' ? 0 : kind.headBytes;
    this.#sendCredit = INITIAL_WINDOW_BYTES - this.#headBytes;
    // Whoever reads the stream has its own handler; a stream nobody looks at any more must not end the process.
    this.on('error', () => undefined);
  }

  /** Bytes returned to the agent as credit so far. */
  get creditedBytes(): number {
    return this.#credited;
  }

  /** Payload bytes received so far. */
  get receivedBytes(): number {
    return this.#received;
  }

  /** True when the agent sends more than its credit allows. */
  get isOverrun(): boolean {
    return this.#received - this.#credited > INITIAL_WINDOW_BYTES;
  }

  /** A DATA frame of the agent. */
  receive(payload: Buffer, fin: boolean): void {
    this.#taken();
    if (this.#finReceived) return;
    if (payload.length > 0) {
      this.#received += payload.length;
      if (!this.destroyed) this.push(payload);
      this.#returnCredit(CREDIT_STEP_BYTES);
    }
    if (fin) {
      this.#finReceived = true;
      if (!this.destroyed) this.push(null);
      this.#settle();
    }
  }

  /** Credit of the agent. */
  grant(bytes: number): void {
    this.#sendCredit += bytes;
    this.#creditSeen += bytes;
    if (this.#creditSeen > this.#headBytes) this.#taken();
    this.pump();
  }

  /** The stream is dead on the agent's side (reset, or the whole connection): nothing more is sent on it. */
  lose(reason: string): void {
    this.#lost = true;
    this.#finSent = true;
    this.#finReceived = true;
    this.#carrier.finished(this);
    this.destroy(connectionReset(reason));
  }

  /** Sends what credit and the connection allow. Returns true when it stopped for lack of room alone. */
  pump(isFairShare = false): boolean {
    while (this.#unsent.length > 0 && this.#sendCredit > 0) {
      if (this.#carrier.isCongested && !this.#isUrgent) {
        if (!isFairShare) this.#carrier.waitForRoom(this);
        return true;
      }
      this.#sendNext();
      if (isFairShare && this.#unsent.length > 0 && this.#sendCredit > 0) return true;
    }
    if (this.#unsent.length === 0) this.#acknowledgeWrite(null);
    return false;
  }

  // The public name is the only hook at which the stream sees that its reader took bytes out of the buffer.
  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    this.#returnCredit(CREDIT_STEP_BYTES);
    return chunk;
  }

  override _read(): void {
    // Data comes when the agent sends it; credit, not this call, tells it to.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#unsent.push(chunk);
    this.#written = done;
    this.pump();
  }

  override _writev(
    chunks: readonly { readonly chunk: unknown }[],
    done: (error?: Error | null) => void,
  ): void {
    for (const { chunk } of chunks) this.#unsent.push(chunk as Buffer);
    this.#written = done;
    this.pump();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#sendFin();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#unsent = [];
    this.#acknowledgeWrite(error ?? connectionReset('the stream was given up'));
    if (!this.#lost) {
      this.#sendFin();
      this.#returnCredit(1);
    }
    done(error);
  }

  #sendNext(): void {
    const next = this.#unsent[0];
    if (next === undefined) return;
    const bytes = Math.min(next.length, this.#sendCredit, LARGEST_PAYLOAD_BYTES);
    if (bytes === next.length) this.#unsent.shift();
    else this.#unsent[0] = next.subarray(bytes);
    if (bytes === 0) return;
    this.#sendCredit -= bytes;
    this.#carrier.data(this.id, bytes === next.length ? next : next.subarray(0, bytes));
  }

  #acknowledgeWrite(error: Error | null): void {
    const done = this.#written;
    this.#written = null;
    done?.(error);
  }

  #returnCredit(stepBytes: number): void {
    if (this.#finReceived) return;
    const unread = this.destroyed ? 0 : this.readableLength;
    const due = this.#received - this.#credited - unread;
    if (due < stepBytes) return;
    this.#credited += due;
    this.#carrier.credit(this.id, due);
  }

  #sendFin(): void {
    if (this.#finSent) return;
    this.#finSent = true;
    this.#carrier.fin(this.id);
    this.#settle();
  }

  #settle(): void {
    if (this.#finSent && this.#finReceived && !this.#lost) this.#carrier.finished(this);
  }

  #taken(): void {
    const taken = this.onTaken;
    this.onTaken = null;
    taken?.();
  }
}
