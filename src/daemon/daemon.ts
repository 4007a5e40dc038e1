/** The daemon put together from its parts. Rooms with effects (tunnels, link, vault, health) come in through ports. */
import type { TunnelEvent } from '../core/tunnel-event.ts';
import { OPS } from '../protocol/command-schema.ts';
import type { JudgeTime } from '../protocol/judge-context.ts';
import { deviceFilters, parseTopic } from '../protocol/topics.ts';
import { type ActiveHours, countActiveHours, hoursThisMonth } from './active-hours.ts';
import { createCommands } from './commands.ts';
import { createCredentialWatch } from './credential-watch.ts';
import { createDesiredIntake } from './desired-intake.ts';
import { documentEndpoints } from './document-endpoints.ts';
import { createDropCount } from './drop-count.ts';
import { createIdleWatch } from './idle.ts';
import { createIntake, type Intake } from './intake.ts';
import { bindKey, createIntent, type Reading } from './intent.ts';
import type { Daemon, DaemonOptions } from './options.ts';
import { createOutbox } from './outbox.ts';
import type { Link, LinkHandlers } from './ports.ts';
import { createReporter } from './reporter.ts';
import { createResultBook } from './result-book.ts';
import { targetsOf } from './resume.ts';
import { type Snapshot, takeSnapshot } from './snapshot.ts';
import { spreadMs } from './spread.ts';
import { stalled } from './stalled.ts';
import { statusDocument } from './status.ts';
import { createSupervisor } from './supervisor.ts';
import { createSwapMeter } from './swap-meter.ts';
import { createSwaps } from './swaps.ts';
import { takeUp } from './take-up.ts';
import { createTrafficTotals } from './traffic-totals.ts';
import { createTunnelWatch } from './tunnel-watch.ts';
import { createWaiter } from './waiter.ts';

const LEASE_SAVE_MS = 300_000;

export const createDaemon = (options: DaemonOptions): Daemon => {
  const { clock, log, vault, boot, tenant, device } = options;
  const startedAt = clock.now();
  const waiter = createWaiter(clock);
  const outbox = createOutbox({ clock, file: options.outboxFile });
  const meter = createSwapMeter(clock);
  const totals = createTrafficTotals(() => supervisor);
  let link: Link | null = null;
  let reading: Reading | null = null;
  let isChangeDue = false;
  let isStopping = false;

  const time = (): JudgeTime => options.deviceClock.time(options.runtime.get().floorS);

  const intent = createIntent({
    clock,
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
    event: (draft) => reporter.event(draft),
  });

  const watchTunnels = createTunnelWatch({
    log,
    totals,
    credentials,
    observed: () => supervisor.observed(),
    event: (draft) => reporter.event(draft),
    uncounted: (endpoint, connections) => reporter.uncounted(endpoint, connections),
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
    changed: () => changed(),
    onEvent: onTunnelEvent,
    onAction: (action) => {
      swaps.onAction(action);
      if (action.kind === 'rollback') log.warn({ ...action.fault }, 'new authtoken rolled back');
      if (action.kind === 'fall-back')
        log.warn({ ...action.fault, to: action.to }, 'falling back to the other authtoken');
      if (action.kind === 'break-first')
        reporter.event({
          type: 'session.lost',
          code: action.fault.code,
          cause: 'break-first swap: the account has no second session',
        });
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

  const swaps = createSwaps({ vault, intent, waiter, meter, supervisor: () => supervisor, totalRequests });

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
      link: link?.status() ?? null,
      trustMode: options.trustMode,
      extra: options.extraConditions(),
      now: clock.now(),
    });
  };

  const reporter = createReporter({
    clock,
    tenant,
    device,
    boot,
    outbox,
    link: () => link,
    time,
    snapshot,
    revisions: () => desiredIntake.revisions(),
    newest: () => book.newest(8),
    hello: () => ({
      boot,
      agent: options.version,
      ngrok: options.ngrokVersion,
      node: process.versions.node,
      arch: process.arch,
      os: process.platform,
      proto: link?.status().protocol ?? 5,
      clk: time().state,
      trust: options.trustMode,
      enc: options.publicKey,
      sigKids: sigKids(),
      ops: [...OPS],
      max: { pkt: 65_536, eps: 32 },
      store: options.keyLevel,
    }),
    health: async () => {
      const sys = await options.machine();
      return {
        up: Math.round((clock.now() - startedAt) / 1000),
        ...(sys === undefined ? {} : { sys }),
        q: { out: outbox.waiting(), drop: outbox.dropped() },
        sec: drops.all(),
      };
    },
    activeHours: () => activeHours(),
    healthS: () => intent.document()?.document.report?.health_s ?? options.healthS,
    connS: () => (options.connEvents === 'off' ? 0 : (intent.document()?.document.report?.conn_s ?? 0)),
  });

  const activeHours = (): Readonly<Record<string, ActiveHours>> =>
    hoursThisMonth(options.runtime.get().activeHours ?? {}, clock.wall());

  /** Written once for each new hour with traffic. */
  const keepActiveHours = (): void => {
    const before = options.runtime.get().activeHours ?? {};
    const seen = snapshot().endpoints.map(({ name, counters: { lastActiveMs } }) => ({ name, lastActiveMs }));
    const after = countActiveHours(before, seen);
    if (after !== before) void options.runtime.update({ activeHours: after });
  };

  const sigKids = (): string[] => {
    const trust = options.trust();
    return trust.mode === 'signed' ? trust.trust.set.keys.map((k) => k.kid) : [];
  };

  const book = createResultBook({
    journal: options.journal,
    boot,
    nowS: () => time().nowS,
    send: (id, payload) => reporter.result(id, payload),
    ended: (entry) => {
      log.info(
        { commandId: entry.id, op: entry.op, status: entry.status, code: entry.code },
        'command ended',
      );
      reporter.event({
        type: 'command.done',
        ...(entry.code === undefined ? {} : { code: entry.code }),
        data: { id: entry.id, op: entry.op, status: entry.status },
      });
    },
  });

  const commands = createCommands({
    clock,
    intent,
    vault,
    waiter,
    swaps,
    defaultLeaseS: options.defaultLeaseS,
    drainMs: options.drainMs,
    snapshot,
    wake: () => supervisor.wake(),
    retryNow: () => supervisor.retryNow(),
    askedAgain: (names) => supervisor.askedAgain(names),
    idleAnew: (names) => idle.asked(names),
    unseal: (sealed, gen) => options.unseal(sealed, { dev: device, gen }, time().nowS),
    pong: (iat) => {
      const { state, nowS } = time();
      return {
        clk: state,
        now: nowS,
        lag_s: nowS - iat,
        rev: desiredIntake.revisions().rev,
        boot,
        agent: options.version,
      };
    },
    report: () => reporter.reportNow(),
    resync: async () => {
      await link?.refresh(deviceFilters(tenant, device, [])[0] ?? '').catch(() => undefined);
    },
    replaceKeys: (set) => options.replaceKeys(set, time().nowS),
    cancel: (id) => intake.cancel(id),
  });

  const drops = createDropCount(clock, log, (draft) => reporter.event(draft));

  const groups = (): readonly string[] => intent.document()?.document.groups ?? [];

  const intake: Intake = createIntake({
    clock,
    log,
    book,
    commands,
    context: () => ({
      tenant,
      device,
      policy: options.trust(),
      time: time(),
      boot,
      groups: groups(),
      windows: options.runtime.get().windows,
      lookup: (id) => book.lookup(id),
    }),
    saveWindow: async (key, window) => {
      const runtime = options.runtime.get();
      const floorS = options.deviceClock.raise(runtime.floorS);
      await options.runtime.update({ windows: { ...runtime.windows, [key]: window }, floorS });
    },
    count: drops.count,
    spreadMs: (command) => spreadMs(command.id, device, intent.document()?.document.report?.spread_s ?? 0),
  });

  const desiredIntake = createDesiredIntake({
    log,
    clock,
    intent,
    revFloor: options.revFloor,
    context: () => ({ tenant, device, policy: options.trust(), time: time() }),
    count: drops.count,
    snapshot,
    heldGeneration: () => vault.get()[vault.get().current]?.generation ?? 0,
    wasLost: options.document.recovered === 'lost',
    accepted: () => {
      intake.supersede();
      link?.subscribe(deviceFilters(tenant, device, groups()));
      supervisor.wake();
      changed();
    },
    credentialWanted: credentials.request,
    conflict: (rev) => reporter.event({ type: 'security.alert', code: 'REV_CONFLICT', data: { rev } }),
  });

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

  /** Many events make one look: the picture is taken once per turn of the loop. */
  const changed = (): void => {
    if (isChangeDue) return;
    isChangeDue = true;
    queueMicrotask(() => {
      isChangeDue = false;
      const wantedUp = new Set([...(reading?.desired.endpoints.keys() ?? [])]);
      meter.watch(supervisor.observed(), wantedUp);
      desiredIntake.look();
      waiter.look();
      reporter.changed();
      keepActiveHours();
      idle.look();
    });
  };

  const handlers: LinkHandlers = {
    will: (n) => reporter.will(n),
    up: async ({ connect, sessionPresent }) => reporter.up(connect, sessionPresent),
    message: async (message) => {
      const topic = parseTopic(message.topic);
      if (topic === undefined) return drops.count('topic');
      if (topic.kind === 'command') return intake.command(message);
      if (topic.kind === 'desired') return desiredIntake.message(message);
      if (topic.kind === 'presence') reporter.presenceSeen(message.payload);
    },
    changed: () => changed(),
  };

  const resume = (): Promise<void> =>
    takeUp({
      journal: options.journal,
      book,
      vault,
      swaps,
      waiter,
      drainMs: options.drainMs,
      nowS: () => time().nowS,
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
    if (options.deviceClock.jumped()) reporter.event({ type: 'security.alert', code: 'CLOCK_JUMP' });
    clock.after(LEASE_SAVE_MS, () => {
      void intent.keepLeases();
      keepTime();
    });
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
      supervisor.adopt(adopted, (a, name) => {
        const spec = a.endpoints.find((e) => e.spec.name === name)?.spec;
        return spec === undefined ? '' : bindKey(spec);
      });
      if (adopted.length > 0) log.info({ tunnels: adopted.map((a) => a.tunnel) }, 'tunnel processes adopted');
      reporter.start();
      reporter.event({ type: 'agent.start', data: { version: options.version, adopted: adopted.length } });
      for (const { store, isLost } of options.recovered)
        reporter.event({
          type: 'store.degraded',
          code: isLost ? 'STATE_LOST' : 'SLOT_RECOVERED',
          data: { store },
        });
      await resume();
      supervisor.begin();
      link = options.createLink(handlers, () => intent.document()?.document.report?.spread_s ?? 0);
      link.subscribe(deviceFilters(tenant, device, groups()));
      link.start();
      if (vault.get().a === null && vault.get().b === null) credentials.request();
      keepTime();
    },
    stop: async () => {
      isStopping = true;
      log.info({}, 'stopping');
      await endAll();
      reporter.event({ type: 'agent.stop' });
      await reporter.goodbye('shutdown');
      reporter.stop();
      supervisor.halt();
      cancelReading?.();
      idle.stop();
      await link?.stop();
    },
    handOver: async () => {
      isStopping = true;
      await intent.keepLeases();
      supervisor.halt();
      cancelReading?.();
      idle.stop();
      await reporter.goodbye('restart');
      reporter.stop();
      await link?.stop();
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
        device,
        version: options.version,
        startedAt,
        link: link?.status() ?? null,
        snapshot: snapshot(),
        conditions: reporter.conditions(),
        fingerprint: options.fingerprint,
        revisions: desiredIntake.revisions(),
        tunnels: options.tunnels.processes(),
        activeHours: activeHours(),
        outbox: { waiting: outbox.waiting(), dropped: outbox.dropped() },
        intake: drops.all(),
      }),
    recentEvents: reporter.recent,
    snapshot,
    wantedBinds: () => [...(reading?.desired.endpoints.values() ?? [])].map(({ spec }) => spec),
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
