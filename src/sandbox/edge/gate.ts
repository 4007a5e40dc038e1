import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

type Done = (error?: Error | null) => void;

/**
 * The TCP connection below the agent's TLS, with a valve: while it is frozen nothing is read or written, not even a
 * handshake's next flight, and nothing is lost.
 */
export class Gate extends Duplex {
  readonly #raw: Socket;
  #isFrozen: boolean;
  #heldWrite: (() => void) | null = null;

  constructor(raw: Socket, isFrozen: boolean) {
    super({ allowHalfOpen: true });
    this.#raw = raw;
    this.#isFrozen = isFrozen;
    raw.setNoDelay(true);
    raw.pause();
    raw.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) raw.pause();
    });
    raw.on('end', () => this.push(null));
    raw.on('error', (error) => this.destroy(error));
    raw.on('close', () => this.destroy());
  }

  /** `ip:port` of the agent. */
  get remoteAddr(): string {
    const { remoteAddress = '', remotePort = 0 } = this.#raw;
    return `${remoteAddress.replace(/^::ffff:/, '')}:${remotePort}`;
  }

  freeze(): void {
    this.#isFrozen = true;
    this.#raw.pause();
  }

  thaw(): void {
    this.#isFrozen = false;
    const write = this.#heldWrite;
    this.#heldWrite = null;
    write?.();
    this.#raw.resume();
  }

  /** Cuts the TCP connection, frozen or not: with a FIN or with a reset. */
  cut(how: 'fin' | 'rst'): void {
    if (how === 'rst') this.#raw.resetAndDestroy();
    // An agent that reads nothing would let a polite end wait for ever.
    else if (this.#raw.writableLength > 0) this.#raw.destroy();
    else this.#raw.destroySoon();
  }

  override _read(): void {
    if (!this.#isFrozen) this.#raw.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#pass(() => this.#raw.write(chunk, done));
  }

  override _writev(chunks: readonly { readonly chunk: unknown }[], done: Done): void {
    this.#pass(() => {
      this.#raw.cork();
      chunks.forEach(({ chunk }, index) => {
        if (index === chunks.length - 1) this.#raw.write(chunk as Buffer, done);
        else this.#raw.write(chunk as Buffer);
      });
      this.#raw.uncork();
    });
  }

  override _final(done: Done): void {
    this.#pass(() => this.#raw.end(done));
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#heldWrite = null;
    if (!this.#raw.destroyed && !this.#raw.writableEnded) this.#raw.destroy();
    done(error);
  }

  #pass(write: () => void): void {
    if (this.#isFrozen) this.#heldWrite = write;
    else write();
  }
}
