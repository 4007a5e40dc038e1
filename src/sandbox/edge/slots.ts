import type { Clock } from '../../core/clock.ts';
import type { EdgeSettings } from './settings.ts';
import { Turnstile } from './turnstile.ts';

/** Least time between two looks at what has cooled. */
const LOOK_EVERY_MS = 10;

export interface SlotsOptions {
  readonly clock: Clock;
  readonly settings: EdgeSettings;
  /** Streams that have not ended in both directions. */
  readonly streams: () => number;
}

/**
 * The stream slots of one agent. The agent frees a slot some time after the last frame of its stream, when its own
 * tasks have run, and does not say so; until then an ended stream counts as one that cools.
 */
export class Slots {
  readonly turnstile: Turnstile;
  readonly #options: SlotsOptions;
  /** When the cooling streams ended, the oldest first; entries before `#firstWarm` have cooled. */
  #endedAtMs: number[] = [];
  #firstWarm = 0;
  #cancelLook: (() => void) | null = null;

  constructor(options: SlotsOptions) {
    const { clock, settings, streams } = options;
    this.#options = options;
    this.turnstile = new Turnstile({
      clock,
      hasRoom: () => streams() < settings.streamCap && streams() + this.#cooling() < settings.slotCap,
      queueCap: () => settings.streamQueue,
      waitMs: () => settings.streamWaitMs,
    });
  }

  /** A stream ended in both directions. */
  ended(): void {
    this.#endedAtMs.push(this.#options.clock.now());
    this.turnstile.admit();
    this.#look(this.#options.settings.slotCoolMs);
  }

  close(error: Error): void {
    this.#cancelLook?.();
    this.turnstile.close(error);
  }

  #cooling(): number {
    const coolSinceMs = this.#options.clock.now() - this.#options.settings.slotCoolMs;
    while ((this.#endedAtMs[this.#firstWarm] ?? Number.POSITIVE_INFINITY) <= coolSinceMs)
      this.#firstWarm += 1;
    if (this.#firstWarm > this.#endedAtMs.length / 2) {
      this.#endedAtMs = this.#endedAtMs.slice(this.#firstWarm);
      this.#firstWarm = 0;
    }
    return this.#endedAtMs.length - this.#firstWarm;
  }

  /** One timer at a time, and only while somebody waits. */
  #look(inMs: number): void {
    if (this.#cancelLook !== null || !this.turnstile.isWaitedFor) return;
    this.#cancelLook = this.#options.clock.after(inMs, () => {
      this.#cancelLook = null;
      this.turnstile.admit();
      this.#look(LOOK_EVERY_MS);
    });
  }
}
