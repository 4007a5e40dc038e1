/** The daemon's life: start, stop, hand-over. One side of it serves, the other talks with the cloud. */
import { createCloud } from './cloud.ts';
import { continued, createContinuity } from './continuity.ts';
import { bindKey } from './intent.ts';
import type { Daemon, DaemonOptions } from './options.ts';
import type { AdoptedTunnel } from './ports.ts';
import { targetsOf } from './resume.ts';
import { createService } from './service.ts';
import { stalled } from './stalled.ts';
import { statusDocument } from './status.ts';
import { takeUp } from './take-up.ts';
import { createWallTime } from './wall-time.ts';

const LEASE_SAVE_MS = 300_000;
const CLOCK_LOOK_MS = 10_000;

export const createDaemon = (options: DaemonOptions): Daemon => {
  const { clock, log, vault, device } = options;
  const startedAt = clock.now();
  const wall = createWallTime(clock);
  let isChangeDue = false;
  let isStopping = false;

  /** Many events make one look: the picture is taken once per turn of the loop. */
  const changed = (): void => {
    if (isChangeDue) return;
    isChangeDue = true;
    queueMicrotask(() => {
      isChangeDue = false;
      service.look();
      cloud.look();
      continuity.look();
    });
  };

  const service = createService(options, {
    event: (draft) => cloud.reporter.event(draft),
    uncounted: (endpoint, connections) => cloud.reporter.uncounted(endpoint, connections),
    changed,
    linkStatus: () => cloud.link()?.status() ?? null,
  });
  const { intent, supervisor, swaps, waiter, credentials, snapshot, activeHours } = service;
  const cloud = createCloud(options, service, startedAt, wall, changed);
  const { reporter, book, commands, desiredIntake, drops, outbox } = cloud;

  const continuity = createContinuity({
    clock,
    wall,
    store: options.continuity,
    observed: supervisor.observed,
    told: reporter.told,
    spent: reporter.spent,
  });

  const resume = (): Promise<void> =>
    takeUp({
      journal: options.journal,
      book,
      vault,
      swaps,
      waiter,
      drainMs: options.drainMs,
      nowS: () => cloud.time().nowS,
      snapshot,
      documentS: () => Math.floor((intent.document()?.acceptedAtMs ?? 0) / 1000),
      layAgain: commands.layAgain,
      poisoned: async (entry) => {
        log.error({ commandId: entry.id, op: entry.op }, 'command ended the daemon twice: given up');
        reporter.event({ type: 'security.alert', code: 'POISON', data: { id: entry.id, op: entry.op } });
        await intent.clearOverride(targetsOf(entry, intent.declared().keys()));
        supervisor.wake();
      },
    });

  const keepTime = (): void => {
    if (isStopping) return;
    clock.after(LEASE_SAVE_MS, () => {
      void intent.keepLeases();
      keepTime();
    });
  };

  const watchClock = (): void => {
    if (isStopping) return;
    if (options.deviceClock.jumped()) {
      log.warn({}, 'the wall clock jumped by more than a day');
      reporter.event({ type: 'security.alert', code: 'CLOCK_JUMP' });
    }
    clock.after(CLOCK_LOOK_MS, watchClock);
  };

  const endAll = async (): Promise<void> => {
    intent.setStopping();
    supervisor.wake();
    await waiter.until(
      () => (supervisor.observed().tunnels.length === 0 ? true : undefined),
      options.drainMs + 15_000,
    );
  };

  return {
    start: async () => {
      const adopted = await options.tunnels.adopt();
      const past = continued(continuity.left(), adopted, clock.now());
      if (past !== null) wall.carryOn(past.offsetMs);
      const keyOf = (a: AdoptedTunnel, name: string): string => {
        const spec = a.endpoints.find((e) => e.spec.name === name)?.spec;
        return spec === undefined ? '' : bindKey(spec);
      };
      supervisor.adopt(adopted, keyOf, past);
      if (adopted.length > 0) log.info({ tunnels: adopted.map((a) => a.tunnel) }, 'tunnel processes adopted');
      reporter.start(past);
      continuity.start();
      reporter.event({ type: 'agent.start', data: { version: options.version, adopted: adopted.length } });
      for (const { store, isLost } of options.recovered)
        reporter.event({
          type: 'store.degraded',
          code: isLost ? 'STATE_LOST' : 'SLOT_RECOVERED',
          data: { store },
        });
      await resume();
      supervisor.begin();
      cloud.connect();
      if (vault.get().a === null && vault.get().b === null) credentials.request();
      keepTime();
      watchClock();
    },
    stop: async () => {
      isStopping = true;
      log.info({}, 'stopping');
      await endAll();
      reporter.event({ type: 'agent.stop' });
      await reporter.goodbye('shutdown');
      reporter.stop();
      supervisor.halt();
      service.stop();
      await continuity.end();
      await cloud.link()?.stop();
    },
    handOver: async () => {
      isStopping = true;
      await intent.keepLeases();
      supervisor.halt();
      service.stop();
      await reporter.goodbye('restart');
      reporter.stop();
      await continuity.release();
      await cloud.link()?.stop();
      await options.tunnels.release();
    },
    setLocked: (locked) => {
      if (locked === intent.isLocked()) return;
      log.warn({ locked }, 'local lock changed');
      intent.setLocked(locked);
      supervisor.wake();
      changed();
    },
    seedStaged: () => {
      const staged = vault.get().swap;
      intent.swapBegins(false);
      if (staged !== null) supervisor.slotChanged(staged.to);
    },
    status: () =>
      statusDocument({
        clock,
        wall,
        device,
        version: options.version,
        startedAt,
        link: cloud.link()?.status() ?? null,
        snapshot: snapshot(),
        conditions: reporter.conditions(),
        fingerprint: options.identity.fingerprint(),
        revisions: desiredIntake.revisions(),
        tunnels: options.tunnels.processes(),
        activeHours: activeHours(),
        outbox: { waiting: outbox.waiting(), dropped: outbox.dropped() },
        intake: drops.all(),
      }),
    recentEvents: reporter.recent,
    snapshot,
    wantedBinds: () => [...(service.lastReading()?.desired.endpoints.values() ?? [])].map(({ spec }) => spec),
    storeDegraded: (f) => {
      log.error({ ...f }, 'state folder cannot be written');
      reporter.event({ type: 'store.degraded', code: f.code, data: { msg: f.message } });
    },
    networkChanged: () => supervisor.networkChanged(),
    changed,
    stalled: () => stalled(supervisor.busyMs(), options.tunnels.processes()),
    isReady: () => supervisor.observed().tunnels.some((t) => t.phase === 'connected'),
  };
};
