import type { Action } from './action.ts';
import type { TunnelId } from './tunnel-event.ts';

export interface Plan {
  readonly actions: readonly Action[];
  /** Monotonic milliseconds at which the plan would say something else by itself; null when never. */
  readonly wakeAt: number | null;
}

/** Collects actions and the earliest wake-up while a plan is made. */
export interface Collector {
  /** Takes an action once; nothing more is asked of a tunnel that is to end. */
  act(action: Action): void;
  /** True when `at` has come; else remembers to wake then. */
  due(at: number): boolean;
  done(): Plan;
}

export const collector = (now: number): Collector => {
  const actions: Action[] = [];
  const ending = new Set<TunnelId>();
  const unbinding = new Set<string>();
  let wakeAt: number | null = null;
  return {
    act: (action) => {
      if ('tunnel' in action && ending.has(action.tunnel)) return;
      if (action.kind === 'unbind') {
        const place = `${action.tunnel} ${action.endpoint}`;
        if (unbinding.has(place)) return;
        unbinding.add(place);
      }
      if (action.kind === 'kill' || action.kind === 'drain') ending.add(action.tunnel);
      actions.push(action);
    },
    due: (at) => {
      if (at <= now) return true;
      wakeAt = wakeAt === null ? at : Math.min(wakeAt, at);
      return false;
    },
    done: () => ({ actions, wakeAt }),
  };
};
