import type { Clock } from '../../core/clock.ts';

export interface HeartbeatOptions {
  readonly clock: Clock;
  /** False suspends the watch: while the edge itself is silent, or when it is told not to look. */
  readonly isWatching: () => boolean;
  readonly onDead: () => void;
}

/** Watches for the beats of one session. An agent can be mute while its TCP connection is well, so beats count. */
export class HeartbeatWatch {
  readonly #options: HeartbeatOptions;
  #limitMs = 0;
  #lastMs = 0;
  #cancel: () => void = () => undefined;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** Begins: silence of `limitMs` from now on is death. Begins anew when called again. */
  start(limitMs: number): void {
    this.#limitMs = limitMs;
    this.beat();
    this.#arm(limitMs);
  }

  beat(): void {
    this.#lastMs = this.#options.clock.now();
  }

  stop(): void {
    this.#cancel();
  }

  /** One timer that is moved on when it fires, not one per beat. */
  #arm(ms: number): void {
    this.#cancel();
    this.#cancel = this.#options.clock.after(ms, () => this.#look());
  }

  #look(): void {
    const { clock, isWatching, onDead } = this.#options;
    if (!isWatching()) this.beat();
    const leftMs = this.#lastMs + this.#limitMs - clock.now();
    if (leftMs > 0) this.#arm(leftMs);
    else onDead();
  }
}
