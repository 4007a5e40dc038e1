/** The side that serves: what is wanted, the loop that brings it about, swaps, and what is counted meanwhile. */
import type { TunnelEvent } from '../core/tunnel-event.ts';
import { type ActiveHours, countActiveHours, hoursThisMonth } from './active-hours.ts';
import { type CredentialWatch, createCredentialWatch } from './credential-watch.ts';
import { documentEndpoints } from './document-endpoints.ts';
import { createIdleWatch, type IdleWatch } from './idle.ts';
import { createIntent, type Intent, type Reading } from './intent.ts';
import type { DaemonOptions } from './options.ts';
import type { LinkStatus } from './ports.ts';
import { type Snapshot, takeSnapshot } from './snapshot.ts';
import { createSupervisor, type Supervisor } from './supervisor.ts';
import { createSwapMeter } from './swap-meter.ts';
import { createSwaps, type Swaps } from './swaps.ts';
import { createTrafficTotals } from './traffic-totals.ts';
import type { EventDraft } from './transitions.ts';
import { createTunnelWatch } from './tunnel-watch.ts';
import { createWaiter, type Waiter } from './waiter.ts';

/** What the serving side has to tell, and asks of the other. */
export interface Told {
  event(draft: EventDraft): void;
  /** Connections of an endpoint that came too fast to be told one by one. */
  uncounted(endpoint: string, connections: number): void;
  /** Something changed: the picture is to be looked at anew. */
  changed(): void;
  linkStatus(): LinkStatus | null;
}

export interface Service {
  readonly intent: Intent;
  readonly supervisor: Supervisor;
  readonly swaps: Swaps;
  readonly waiter: Waiter;
  readonly credentials: CredentialWatch;
  readonly idle: IdleWatch;
  snapshot(): Snapshot;
  /** Active hours of this month, by endpoint. */
  activeHours(): Readonly<Record<string, ActiveHours>>;
  /** What is to be open, as the last plan read it. */
  lastReading(): Reading | null;
  /** Looks at the changed picture: figures, waits, hours and idle times. */
  look(): void;
  /** Sets no timer any more. */
  stop(): void;
}

export const createService = (options: DaemonOptions, told: Told): Service => {
  const { clock, log, vault } = options;
  const waiter = createWaiter(clock);
  const meter = createSwapMeter(clock);
  const totals = createTrafficTotals(() => supervisor);
  let reading: Reading | null = null;

  const intent = createIntent({
    clock,
    swapDeadlineMs: options.swapDeadlineMs,
    fileEndpoints: options.fileEndpoints,
    documentEndpoints: (record) => documentEndpoints(record, options.documentEndpoint),
    resolve: options.resolve,
    windowState: options.windowState,
    runtime: options.runtime,
    document: options.document,
    vault,
  });

  const totalRequests = (): number => snapshot().endpoints.reduce((sum, e) => sum + e.counters.requests, 0);

  const remote = (op: 'stop' | 'restart'): void => {
    if (op === 'stop') void intent.park(true).then(() => supervisor.wake());
    else {
      intent.newEpoch();
      supervisor.retryNow();
    }
  };

  const credentials = createCredentialWatch({
    clock,
    log,
    vault,
    wantedGeneration: () => intent.document()?.document.cred?.gen,
    event: told.event,
  });

  const watchTunnels = createTunnelWatch({
    log,
    totals,
    credentials,
    observed: () => supervisor.observed(),
    event: told.event,
    uncounted: told.uncounted,
    remote,
  });

  const onTunnelEvent = (event: TunnelEvent): void => {
    meter.onEvent(event);
    watchTunnels(event);
  };

  const supervisor = createSupervisor({
    clock,
    log,
    tunnels: options.tunnels,
    vault,
    probe: options.probe,
    desired: () => {
      reading = intent.read();
      scheduleReading(reading.changesAt);
      return reading.desired;
    },
    drainMs: options.drainMs,
    changed: told.changed,
    onEvent: onTunnelEvent,
    onAction: (action) => {
      swaps.onAction(action);
      if (action.kind === 'rollback') log.warn({ ...action.fault }, 'new authtoken rolled back');
      if (action.kind === 'fall-back')
        log.warn({ ...action.fault, to: action.to }, 'falling back to the other authtoken');
    },
    onDone: ({ kind }) => {
      if (kind === 'commit') credentials.swapped();
    },
  });

  let cancelReading: (() => void) | undefined;
  /** Leases end with the cloud gone: the device wakes itself. */
  const scheduleReading = (at: number | null): void => {
    cancelReading?.();
    cancelReading =
      at === null ? undefined : clock.after(Math.max(1, at - clock.now()), () => supervisor.wake());
  };

  const swaps = createSwaps({
    vault,
    intent,
    waiter,
    meter,
    supervisor: () => supervisor,
    totalRequests,
    breaksFirst: (why) =>
      told.event({
        type: 'session.lost',
        ...(why === null ? {} : { code: why.code }),
        cause: `break-first swap: ${why === null ? 'asked for' : 'the account has no room for both'}`,
      }),
  });

  const snapshot = (): Snapshot => {
    const current = intent.read();
    const document = intent.document()?.document;
    const cred = document?.cred;
    return takeSnapshot({
      reading: current,
      observed: supervisor.observed(),
      counters: supervisor.counters(),
      past: totals.past(),
      vault: vault.get(),
      wantGeneration: cred?.gen ?? null,
      isRevoked: cred?.revoked === true,
      locked: intent.isLocked(),
      parked: intent.isParked(),
      link: told.linkStatus(),
      trustMode: options.trustMode,
      extra: options.extraConditions(),
      now: clock.now(),
    });
  };

  const activeHours = (): Readonly<Record<string, ActiveHours>> =>
    hoursThisMonth(options.runtime.get().activeHours ?? {}, clock.wall());

  /** Written once for each new hour with traffic. */
  const keepActiveHours = (): void => {
    const before = options.runtime.get().activeHours ?? {};
    const seen = snapshot().endpoints.map(({ name, counters: { lastActiveMs } }) => ({ name, lastActiveMs }));
    const after = countActiveHours(before, seen);
    if (after !== before) void options.runtime.update({ activeHours: after });
  };

  const idle = createIdleWatch({
    clock,
    declared: () => intent.declared(),
    snapshot,
    close: (overrides) => {
      log.info({ endpoints: overrides.map((o) => o.endpoint) }, 'endpoints closed: nobody used them');
      void intent.override(overrides);
      supervisor.wake();
    },
  });

  return {
    intent,
    supervisor,
    swaps,
    waiter,
    credentials,
    idle,
    snapshot,
    activeHours,
    lastReading: () => reading,
    look: () => {
      meter.watch(supervisor.observed(), new Set(reading?.desired.endpoints.keys()));
      waiter.look();
      keepActiveHours();
      idle.look();
    },
    stop: () => {
      cancelReading?.();
      idle.stop();
    },
  };
};
