/**
 * The reconcile loop: wake, plan, issue, fold what comes back, wake again. It never learns why it was woken. Single
 * flight: effects that must be durable (commit, rollback) are awaited, everything else returns at once and reports by
 * event.
 */
import type { Action, ActionKind } from '../core/action.ts';
import type { Clock } from '../core/clock.ts';
import type { EndpointCounters } from '../core/endpoint.ts';
import { issued } from '../core/issued.ts';
import { initialObserved, type Observed } from '../core/observed.ts';
import { type Desired, plan } from '../core/plan.ts';
import {
  forgetRefusals,
  forgetSlot,
  type Moment,
  reduce,
  reduceNetworkChange,
  reduceProbe,
  retryNow,
} from '../core/reduce.ts';
import type { Slot, TunnelEvent } from '../core/tunnel-event.ts';
import { adoptedView, withAdopted } from './adoption.ts';
import type { ContinuityRecord } from './continuity.ts';
import type { Log } from './log.ts';
import type { AdoptedTunnel, ProbeEdge, TokenVault, Tunnels } from './ports.ts';

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly tunnels: Tunnels;
  readonly vault: TokenVault;
  readonly probe: ProbeEdge;
  /** Desired state as of now; asked at every round. */
  desired(): Desired;
  /** Milliseconds a drain may take; `config.drain.deadlineS`. */
  readonly drainMs: number;
  /** Observed state changed, or a round was planned. */
  changed(): void;
  /** Every event after it was folded, for those who count, report or measure. */
  onEvent(event: TunnelEvent, before: Observed): void;
  /** Every action as it is issued, before it has any effect. */
  onAction(action: Action): void;
  /** The same once it was carried out: what changes the vault is on disk. */
  onDone(action: Action): void;
}

export interface Supervisor {
  /** Nothing is planned before this: what an earlier supervisor left has to be known first. */
  begin(): void;
  /** Something may have changed: plan again. */
  wake(): void;
  observed(): Observed;
  counters(): ReadonlyMap<string, Readonly<Record<string, EndpointCounters>>>;
  /** Forgets one copy's counters: its totals were taken over. */
  dropCounters(tunnel: string, endpoint: string): void;
  networkChanged(): void;
  /** A slot holds another token now: what was said of the old one is forgotten. */
  slotChanged(slot: Slot): void;
  /** A command asks for these endpoints: earlier refusals do not make them wait. */
  askedAgain(endpoints: readonly string[]): void;
  /** An operator asks for another try: no wait for a refused token, bind or silent edge stands in its way. */
  retryNow(): void;
  /** `past`: what the supervisor before left; null where everything begins anew. */
  adopt(
    adopted: readonly AdoptedTunnel[],
    keyOf: (adopted: AdoptedTunnel, name: string) => string,
    past: ContinuityRecord | null,
  ): void;
  /** Plans no more; running processes are left as they are. */
  halt(): void;
  /** How long the round takes that is being carried out; 0 between rounds. */
  busyMs(): number;
}

/** Names for tunnel processes; the number goes on over restarts so that an adopted one never clashes. */
const tunnelName = (n: number): string => `t${n}`;

/** Closing times are made from two clocks, which drift by milliseconds. */
const isSameTime = (a: number | null, b: number | null): boolean =>
  a === null || b === null ? a === b : Math.abs(a - b) < 1000;

type Executors = {
  readonly [K in ActionKind]: (action: Extract<Action, { kind: K }>) => Promise<void> | void;
};

export const createSupervisor = (options: SupervisorOptions): Supervisor => {
  const { clock, log, tunnels, vault } = options;
  let observed = initialObserved(clock.now());
  const counters = new Map<string, Readonly<Record<string, EndpointCounters>>>();
  let nextTunnel = Math.floor(clock.wall() / 1000) % 1_000_000_000;
  let isDirty = false;
  let isRunning = false;
  let isHalted = true;
  let roundBegan: number | null = null;
  /** Closing times that the processes were told, by tunnel and endpoint. */
  const toldClosesAt = new Map<string, number | null>();
  let cancelTimer: (() => void) | undefined;

  const moment = (): Moment => ({ now: clock.now(), random01: clock.random() });

  const startTunnel = (id: string, action: Extract<Action, { kind: 'start' }>): void => {
    const slot = vault.get()[action.slot];
    if (slot === null) return;
    tunnels.start({
      tunnel: id,
      slot: action.slot,
      generation: slot.generation,
      authtoken: slot.authtoken,
      connectDeadlineMs: action.connectDeadlineMs,
    });
  };

  const probe = async (depth: 'tcp' | 'tls'): Promise<void> => {
    const answered = await options.probe(depth).catch(() => false);
    observed = reduceProbe(observed, depth, answered, moment());
    wake();
  };

  /** The vault said no: the swap cannot go on, but service can. The next round tries again after a pause. */
  const settleVault = async (what: string, step: Promise<{ readonly ok: boolean }>): Promise<void> => {
    const result = await step;
    if (result.ok) return;
    log.error({ step: what }, 'token vault cannot be written');
    await new Promise<void>((resolve) => clock.after(1000, resolve));
  };

  const executors: Executors = {
    start: () => undefined,
    bind: (a) => tunnels.bind(a.tunnel, a.spec),
    unbind: (a) => tunnels.unbind(a.tunnel, a.endpoint, options.drainMs),
    drain: (a) => tunnels.drain(a.tunnel, options.drainMs),
    kill: (a) => tunnels.kill(a.tunnel),
    probe: (a) => void probe(a.depth),
    commit: () => settleVault('commit', vault.commit()),
    rollback: async (a) => {
      const staged = vault.get().swap?.to;
      await settleVault('rollback', vault.rollback(a.fault));
      if (staged !== undefined) observed = forgetSlot(observed, staged);
    },
    'break-first': () => undefined,
    'finish-swap': () => settleVault('finish', vault.finish()),
    'fall-back': (a) => settleVault('fall back', vault.fallBack(a.to, a.fault)),
  };

  const execute = async (action: Action): Promise<void> => {
    const id = action.kind === 'start' ? tunnelName(nextTunnel++) : '';
    const generation = action.kind === 'start' ? (vault.get()[action.slot]?.generation ?? 0) : 0;
    log.debug({ action: action.kind, ...('tunnel' in action ? { tunnel: action.tunnel } : {}) }, 'action');
    observed = issued(observed, action, id, generation, clock.now());
    options.onAction(action);
    if (action.kind === 'start') startTunnel(id, action);
    await (executors[action.kind] as (a: Action) => Promise<void> | void)(action);
    options.onDone(action);
  };

  /** A process that outlives its supervisor ends leases by itself, so it must know when they were moved. */
  const tellClosingTimes = (desired: Desired): void => {
    const places = new Set<string>();
    for (const t of observed.tunnels)
      for (const name of Object.keys(t.endpoints)) {
        const wanted = desired.endpoints.get(name);
        if (wanted === undefined) continue;
        const place = `${t.id} ${name}`;
        places.add(place);
        const { closesAtMs } = wanted.spec;
        const told = toldClosesAt.get(place);
        if (told !== undefined && isSameTime(told, closesAtMs)) continue;
        toldClosesAt.set(place, closesAtMs);
        // The bind itself carries the first one.
        if (told !== undefined) tunnels.setClosesAt(t.id, name, closesAtMs);
      }
    for (const place of toldClosesAt.keys()) if (!places.has(place)) toldClosesAt.delete(place);
  };

  const round = async (): Promise<void> => {
    const desired = options.desired();
    const next = plan(desired, observed, clock.now());
    for (const action of next.actions) await execute(action);
    tellClosingTimes(desired);
    if (next.actions.length > 0) isDirty = true;
    cancelTimer?.();
    cancelTimer =
      next.wakeAt === null ? undefined : clock.after(Math.max(1, next.wakeAt - clock.now()), wake);
    options.changed();
  };

  const drive = async (): Promise<void> => {
    isRunning = true;
    while (isDirty && !isHalted) {
      isDirty = false;
      roundBegan = clock.now();
      try {
        await round();
      } catch (error) {
        // A bug in one round must not end the loop: the box has to come back by itself.
        log.error({ err: error }, 'reconcile round failed');
        cancelTimer?.();
        cancelTimer = clock.after(1000, wake);
        break;
      }
    }
    isRunning = false;
    roundBegan = null;
  };

  const wake = (): void => {
    isDirty = true;
    if (!isRunning && !isHalted) void drive();
  };

  tunnels.onEvent((event) => {
    const before = observed;
    observed = reduce(observed, event, moment());
    // An endpoint that is missing here has ended or is ending: its last totals stay until `unbound` or `exited`.
    if (event.type === 'counters')
      counters.set(event.tunnel, { ...counters.get(event.tunnel), ...event.endpoints });
    options.onEvent(event, before);
    if (event.type === 'exited') counters.delete(event.tunnel);
    if (event.type === 'connections') return;
    if (event.type === 'counters' || event.type === 'heartbeat') options.changed();
    else wake();
  });

  return {
    busyMs: () => (roundBegan === null ? 0 : clock.now() - roundBegan),
    begin: () => {
      isHalted = false;
      wake();
    },
    wake,
    observed: () => observed,
    counters: () => counters,
    dropCounters: (tunnel, endpoint) => {
      const { [endpoint]: _, ...rest } = counters.get(tunnel) ?? {};
      counters.set(tunnel, rest);
    },
    networkChanged: () => {
      observed = reduceNetworkChange(observed, clock.now());
      wake();
    },
    slotChanged: (slot) => {
      observed = forgetSlot(observed, slot);
      wake();
    },
    askedAgain: (endpoints) => {
      observed = forgetRefusals(observed, endpoints);
    },
    retryNow: () => {
      observed = retryNow(observed, clock.now());
      wake();
    },
    adopt: (adopted, keyOf, past) => {
      for (const { tunnel, endpoints } of adopted)
        for (const { spec } of endpoints) toldClosesAt.set(`${tunnel} ${spec.name}`, spec.closesAtMs);
      const now = clock.now();
      const views = adopted.map((a) => adoptedView(a, (name) => keyOf(a, name), past, now));
      observed = withAdopted(observed, adopted, views, past, now);
      wake();
    },
    halt: () => {
      isHalted = true;
      cancelTimer?.();
    },
  };
};
