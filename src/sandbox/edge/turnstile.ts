import type { Clock } from '../../core/clock.ts';

/** A visitor cannot be let in: the session or endpoint has no room. */
export class NotAdmitted extends Error {
  override readonly name = 'NotAdmitted';
  readonly code = 'STREAM_CAP';
}

export interface TurnstileOptions {
  readonly clock: Clock;
  readonly hasRoom: () => boolean;
  /** Most waiting actions. */
  readonly queueCap: () => number;
  readonly waitMs: () => number;
}

interface Waiting {
  readonly enter: () => void;
  readonly fail: (error: Error) => void;
}

/** Runs actions while there is room and lets the others wait in order, for a limited time. */
export class Turnstile {
  readonly #options: TurnstileOptions;
  readonly #queue = new Set<Waiting>();
  #closed: Error | null = null;

  constructor(options: TurnstileOptions) {
    this.#options = options;
  }

  get isWaitedFor(): boolean {
    return this.#queue.size > 0;
  }

  /** Runs `action` as soon as there is room; it must take the room at once. Rejects with `NotAdmitted`. */
  pass<T>(action: () => T): Promise<T> {
    const { clock, hasRoom, queueCap, waitMs } = this.#options;
    if (this.#closed !== null) return Promise.reject(this.#closed);
    if (this.#queue.size === 0 && hasRoom()) return this.#run(action);
    if (this.#queue.size >= queueCap()) return Promise.reject(new NotAdmitted('too many connections wait'));
    return new Promise<T>((resolve, reject) => {
      const leave = (): void => {
        cancel();
        this.#queue.delete(waiting);
      };
      const waiting: Waiting = {
        enter: () => {
          leave();
          try {
            resolve(action());
          } catch (error) {
            reject(error as Error);
          }
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      const cancel = clock.after(waitMs(), () =>
        waiting.fail(new NotAdmitted('no stream became free in time')),
      );
      this.#queue.add(waiting);
    });
  }

  /** At once, not in a later turn: the next caller must already see the room taken. */
  async #run<T>(action: () => T): Promise<T> {
    return action();
  }

  /** Lets in as many as there is room for now. */
  admit(): void {
    while (this.#options.hasRoom()) {
      const [next] = this.#queue;
      if (next === undefined) return;
      next.enter();
    }
  }

  /** Turns everybody away, now and later. */
  close(error: Error): void {
    this.#closed = error;
    for (const waiting of [...this.#queue]) waiting.fail(error);
  }
}
