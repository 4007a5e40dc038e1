/** Desired state as the plan reads it: what is to be open, on which token, and the swap under way. */
import type { BindSpec } from './endpoint.ts';
import type { Slot } from './tunnel-event.ts';

export interface WantedBind {
  readonly spec: BindSpec;
  /** Fingerprint of everything that needs a new bind when it changes. */
  readonly key: string;
}

export interface DesiredSwap {
  readonly to: Slot;
  readonly phase: 'staged' | 'committed';
  /** End the old session before the new one starts: the account has no room for two. */
  readonly breakFirst: boolean;
  /** Monotonic milliseconds after which a staged swap is rolled back. */
  readonly deadlineAt: number;
}

export interface Desired {
  /** False while locked, parked, stopping or without any token: every tunnel drains. */
  readonly session: boolean;
  readonly endpoints: ReadonlyMap<string, WantedBind>;
  readonly current: Slot;
  /** Slots that hold a token which may be tried. One in use that was refused counts: it is tried again slowly. */
  readonly usable: Readonly<Record<Slot, boolean>>;
  readonly swap: DesiredSwap | null;
  readonly epoch: number;
}

export const otherSlot = (slot: Slot): Slot => (slot === 'a' ? 'b' : 'a');
