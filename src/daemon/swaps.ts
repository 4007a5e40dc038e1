/** Swaps from the commands' side: one at a time, each with its end and its figures. The supervisor does the work. */
import type { Action } from '../core/action.ts';
import { type Fault, failed, fault, ok, type Result } from '../core/errors.ts';
import { tunnelFor } from '../core/observed.ts';
import { refusalFor } from '../core/plan-roles.ts';
import { isStanding } from '../core/view.ts';
import type { Intent } from './intent.ts';
import type { TokenCandidate, TokenVault } from './ports.ts';
import type { Supervisor } from './supervisor.ts';
import type { SwapFigures, SwapMeter } from './swap-meter.ts';
import type { Waiter } from './waiter.ts';

export interface SwapEnd {
  /** Why it was rolled back; null when the new token is in use. */
  readonly fault: Fault | null;
  readonly figures: SwapFigures;
}

export interface Swaps {
  /** Waits for its turn; the returned function ends it. Null when the signal aborted first. */
  turn(signal: AbortSignal): Promise<(() => void) | null>;
  /** Stages the candidate and resolves when it is in use and the old session drained, or rolled back. */
  swap(candidate: TokenCandidate, commandId: string, breakFirst: boolean): Promise<Result<SwapEnd>>;
  /**
   * One session, of the newest epoch, serving all that is wanted and not refused for a reason of its own, and no other
   * process. The names of those that are refused, or null while it is not so.
   */
  steady(): { readonly refused: readonly string[] } | null;
  /** Why the last swap was rolled back; null when none was since the last one began. */
  lastRollback(): Fault | null;
  onAction(action: Action): void;
}

export interface SwapsOptions {
  readonly vault: TokenVault;
  readonly intent: Intent;
  readonly waiter: Waiter;
  readonly meter: SwapMeter;
  supervisor(): Supervisor;
  totalRequests(): number;
  /** Service will have a gap now: the old session ends first, for this reason, or because it was asked for (null). */
  breaksFirst(why: Fault | null): void;
}

/** Far beyond every deadline inside: staging, proof, drain. */
const NEVER_MS = 2_000_000_000;

const GIVEN_UP = fault(
  'NGROK_AUTH_REFUSED',
  'The new authtoken was refused soon after it was taken; the old one is in use again.',
  false,
);

export const createSwaps = (options: SwapsOptions): Swaps => {
  const { vault, intent, waiter, meter } = options;
  let queue: Promise<void> = Promise.resolve();
  let rolledBack: Fault | null = null;

  const turn: Swaps['turn'] = async (signal) => {
    let release: () => void = () => undefined;
    const before = queue;
    queue = new Promise<void>((resolve) => {
      release = resolve;
    });
    const aborted = new Promise<'aborted'>((resolve) => {
      if (signal.aborted) resolve('aborted');
      else signal.addEventListener('abort', () => resolve('aborted'), { once: true });
    });
    if ((await Promise.race([before, aborted])) === 'aborted') {
      void before.then(release);
      return null;
    }
    return release;
  };

  const swap: Swaps['swap'] = async (candidate, commandId, breakFirst) => {
    // A swap that a changed token file began, or that a restart found half done, ends first.
    await waiter.until(() => (vault.get().swap === null ? true : undefined), NEVER_MS);
    const staged = await vault.stage(candidate, commandId);
    if (!staged.ok) return failed(staged.fault);
    rolledBack = null;
    if (breakFirst) options.breaksFirst(null);
    intent.swapBegins(breakFirst);
    const { endpoints } = intent.read().desired;
    meter.begin(options.totalRequests(), options.supervisor().observed(), new Set(endpoints.keys()));
    options.supervisor().slotChanged(staged.value);
    await waiter.until(() => (vault.get().swap === null ? true : undefined), NEVER_MS);
    const state = vault.get();
    const isInUse = state[state.current]?.generation === candidate.generation;
    return ok({
      fault: isInUse ? null : (rolledBack ?? GIVEN_UP),
      figures: meter.end(options.totalRequests()),
    });
  };

  return {
    turn,
    swap,
    steady: () => {
      const { desired } = intent.read();
      const observed = options.supervisor().observed();
      const current = tunnelFor(observed, desired.current, desired.epoch);
      if (current?.phase !== 'connected' || observed.tunnels.length !== 1) return null;
      const missing = [...desired.endpoints].filter(([name, { key }]) => {
        const view = current.endpoints[name];
        return view?.key !== key || (view.phase !== 'serving' && view.phase !== 'bound');
      });
      const areRefused = missing.every(([name, { key }]) => {
        const refusal = refusalFor(observed, current.slot, name, key);
        return current.endpoints[name] === undefined && refusal !== undefined && isStanding(refusal);
      });
      return areRefused ? { refused: missing.map(([name]) => name) } : null;
    },
    lastRollback: () => rolledBack,
    onAction: (action) => {
      if (action.kind === 'rollback') rolledBack = action.fault;
      if (action.kind !== 'break-first') return;
      intent.breakFirst();
      options.breaksFirst(action.fault);
    },
  };
};
