import type { FrontEnd } from '../contract.ts';
import { tcpKey } from './registry.ts';

/** The front end could not open a tcp port. */
export class PortUnavailable extends Error {
  override readonly name = 'PortUnavailable';
}

/** Opens and closes the loopback ports of tcp endpoints, one step after the other, so that no two steps cross. */
export class TcpPorts {
  readonly #frontEnd: () => FrontEnd;
  readonly #isInUse: (key: string) => boolean;
  readonly #onBug: (error: unknown) => void;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(frontEnd: () => FrontEnd, isInUse: (key: string) => boolean, onBug: (error: unknown) => void) {
    this.#frontEnd = frontEnd;
    this.#isInUse = isInUse;
    this.#onBug = onBug;
  }

  /**
   * Opens `port` (0 = any), which pool members share, and runs `use` with it before any other step. The port is
   * closed again when `use` leaves it unused. Rejects with `PortUnavailable` when it cannot be opened.
   */
  open<T>(port: number, use: (port: number) => T): Promise<T> {
    return this.#next(async () => {
      const opened = port !== 0 && this.#isInUse(tcpKey(port)) ? port : await this.#openPort(port);
      const result = use(opened);
      if (!this.#isInUse(tcpKey(opened))) await this.#frontEnd().closeTcp(opened);
      return result;
    });
  }

  /** Closes a port unless somebody has come to use it meanwhile. */
  close(port: number): void {
    void this.#next(async () => {
      if (!this.#isInUse(tcpKey(port))) await this.#frontEnd().closeTcp(port);
    }).catch(this.#onBug);
  }

  /** Resolves when all steps so far are done. */
  async idle(): Promise<void> {
    await this.#turn;
  }

  async #openPort(port: number): Promise<number> {
    try {
      return await this.#frontEnd().openTcp(port);
    } catch (error) {
      throw new PortUnavailable(error instanceof Error ? error.message : 'unknown cause', { cause: error });
    }
  }

  #next<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(step);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}
