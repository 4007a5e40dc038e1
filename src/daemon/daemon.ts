/** The daemon put together from its parts. Rooms with effects (tunnels, link, vault, health) come in through ports. */
import type { Clock } from '../core/clock.ts';
import type { ConditionNow } from '../core/condition.ts';
import type { BindSpec, EndpointCounters, EndpointSpec } from '../core/endpoint.ts';
import type { Fault, Result } from '../core/errors.ts';
import type { Slot, TunnelEvent } from '../core/tunnel-event.ts';
import { addCounters, noCounters, retired } from '../core/view.ts';
import type { WindowState } from '../core/window.ts';
import { OPS } from '../protocol/command-schema.ts';
import type { DevicePublicKey } from '../protocol/device-key.ts';
import type { HealthMessage } from '../protocol/health-schema.ts';
import type { DropCounter, JudgeTime, TrustPolicy } from '../protocol/judge-context.ts';
import type { SealedToken } from '../protocol/seal.ts';
import { deviceFilters, parseTopic } from '../protocol/topics.ts';
import { createCommands } from './commands.ts';
import { createDesiredIntake } from './desired-intake.ts';
import type { DeviceClock } from './device-clock.ts';
import { createIdleWatch } from './idle.ts';
import { createIntake, type Intake } from './intake.ts';
import { bindKey, createIntent, type Reading } from './intent.ts';
import type { Keeper } from './keeper.ts';
import type { Log } from './log.ts';
import { createOutbox } from './outbox.ts';
import type {
  CommandJournal,
  JournalEntry,
  Link,
  LinkHandlers,
  ProbeEdge,
  Store,
  TokenVault,
  Tunnels,
} from './ports.ts';
import type { DesiredRecord, RevFloor, RuntimeRecord } from './records.ts';
import { createReporter } from './reporter.ts';
import { createResultBook } from './result-book.ts';
import { isPoisoned, judgeUnfinished, POISONED, targetsOf, UNTOLD } from './resume.ts';
import { type Snapshot, takeSnapshot } from './snapshot.ts';
import { statusDocument } from './status.ts';
import { createSupervisor } from './supervisor.ts';
import { createSwapMeter } from './swap-meter.ts';
import { createSwaps } from './swaps.ts';
import { createWaiter } from './waiter.ts';

/** How long a command left over from before a restart is watched before its end is called unknown. */
const RESUME_DEADLINE_MS = 30_000;
/** The same for a swap, which has this long to prove its token, and then the drain. */
const RESUME_REKEY_MS = 75_000;
const LEASE_SAVE_MS = 300_000;
const CRED_REQUEST_GAP_MS = 900_000;

export interface DaemonOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  readonly ngrokVersion: string;
  readonly boot: string;
  readonly tenant: string;
  readonly device: string;
  readonly drainMs: number;
  readonly defaultLeaseS: number;
  readonly healthS: number;
  readonly trustMode: 'signed' | 'broker';
  readonly deviceClock: DeviceClock;
  readonly tunnels: Tunnels;
  readonly probe: ProbeEdge;
  readonly vault: TokenVault;
  readonly journal: CommandJournal;
  readonly runtime: Keeper<RuntimeRecord>;
  readonly document: Store<DesiredRecord | null>;
  readonly revFloor: Store<RevFloor>;
  readonly publicKey: DevicePublicKey;
  readonly fingerprint: string;
  readonly keyLevel: 'host' | 'file';
  readonly fileEndpoints: readonly EndpointSpec[];
  documentEndpoint(endpoint: DesiredRecord['document']['endpoints'][number]): Result<EndpointSpec>;
  resolve(spec: EndpointSpec): Result<Omit<BindSpec, 'closesAtMs'>>;
  /** Whether one of the endpoint's weekly windows is open; undefined for one without windows. */
  windowState(spec: EndpointSpec): WindowState | undefined;
  trust(): TrustPolicy;
  replaceKeys(set: string, nowS: number): Promise<Result<{ readonly version: number }>>;
  unseal(
    sealed: string,
    expected: { readonly dev: string; readonly gen: number },
    nowS: number,
  ): Promise<Result<SealedToken>>;
  createLink(handlers: LinkHandlers, spreadS: () => number): Link;
  /** Machine figures for health. */
  machine(): Promise<HealthMessage['sys']>;
  /** Stores whose files were damaged at start; `isLost` when no copy was good. */
  readonly recovered: readonly { readonly store: string; readonly isLost: boolean }[];
  /** Conditions others keep: store, upstream checks, files. */
  extraConditions(): readonly ConditionNow[];
}

export interface Daemon {
  /** Adopts or starts tunnels from what is on disk, then connects to the broker. */
  start(): Promise<void>;
  /** Drains everything and says goodbye. Resolves when nothing runs any more. */
  stop(): Promise<void>;
  /** Ends the link and lets go of the tunnels, which go on for the next supervisor. */
  handOver(): Promise<void>;
  setLocked(locked: boolean): void;
  /** A token from the seed file was staged: it is tried as a rekey is. */
  seedStaged(): void;
  status(): Readonly<Record<string, unknown>>;
  snapshot(): Snapshot;
  /** What is to be open now, as the tunnels are told. */
  wantedBinds(): readonly BindSpec[];
  networkChanged(): void;
  /** The state folder cannot be written since now. */
  storeDegraded(f: Fault): void;
  /** A condition outside changed. */
  changed(): void;
  /** True while the reconcile loop and the tunnels' liveness are as they should be. */
  isReady(): boolean;
}

export const createDaemon = (options: DaemonOptions): Daemon => {
  const { clock, log, vault, boot, tenant, device } = options;
  const startedAt = clock.now();
  const waiter = createWaiter(clock);
  const outbox = createOutbox();
  const meter = createSwapMeter(clock);
  const dropped: Record<string, number> = {};
  const past = new Map<string, EndpointCounters>();
  let link: Link | null = null;
  let reading: Reading | null = null;
  let isChangeDue = false;
  let isStopping = false;
  let lastCredRequestAt = Number.NEGATIVE_INFINITY;
  let lastAlertAt = Number.NEGATIVE_INFINITY;
  /** Prints of tokens whose refusal was told and that have not worked since. */
  const toldRefused = new Set<string>();
  /** Slot of each tunnel that was started, for events that come when it is gone. */
  const tunnelSlots = new Map<string, Slot>();

  const time = (): JudgeTime => options.deviceClock.time(options.runtime.get().floorS);

  const intent = createIntent({
    clock,
    fileEndpoints: options.fileEndpoints,
    documentEndpoints: ({ document }) => {
      const specs: EndpointSpec[] = [];
      const denied = new Map<string, Fault>();
      for (const endpoint of document.endpoints) {
        const spec = options.documentEndpoint(endpoint);
        if (spec.ok) specs.push(spec.value);
        else {
          denied.set(endpoint.name, spec.fault);
          specs.push(unusable(endpoint));
        }
      }
      return { specs, denied };
    },
    resolve: options.resolve,
    windowState: options.windowState,
    runtime: options.runtime,
    document: options.document,
    vault,
  });

  /** An endpoint of the document that cannot be taken as it is: kept by name, so that it can be reported as denied. */
  const unusable = (e: DesiredRecord['document']['endpoints'][number]): EndpointSpec => ({
    name: e.name,
    proto: e.proto,
    upstream: e.upstream,
    url: e.url ?? '',
    on: e.on,
    policy: e.policy ?? '',
    binding: 'public',
    metadata: '',
    pooling: true,
    metering: 'on',
    idleCloseS: 0,
    windows: [],
    ttlS: 0,
    origin: 'document',
  });

  const totalRequests = (): number => snapshot().endpoints.reduce((sum, e) => sum + e.counters.requests, 0);

  const onTunnelEvent = (event: TunnelEvent): void => {
    meter.onEvent(event);
    for (const t of supervisor.observed().tunnels) tunnelSlots.set(t.id, t.slot);
    if (event.type === 'connected') {
      const slot = supervisor.observed().tunnels.find((t) => t.id === event.tunnel)?.slot;
      if (slot !== undefined) toldRefused.delete(vault.get()[slot]?.fingerprint ?? '');
      if (slot !== undefined && slot === vault.get().current) void vault.mark(slot, 'proved');
      log.info({ tunnel: event.tunnel, session: event.sessionId, tookMs: event.tookMs }, 'session up');
    } else if (event.type === 'connect-failed') {
      log.warn({ tunnel: event.tunnel, ...event.fault }, 'session refused');
      if (event.fault.code === 'NGROK_AUTH_REFUSED') tokenRefused(event.tunnel, event.fault);
    } else if (event.type === 'exited') {
      retire(event.tunnel);
      tunnelSlots.delete(event.tunnel);
      log.info(
        { tunnel: event.tunnel, code: event.code, signal: event.signal, stderr: event.stderr },
        'tunnel process ended',
      );
    } else if (event.type === 'remote') remote(event.op);
    else if (event.type === 'unbound') retireEndpoint(event.tunnel, event.endpoint);
    else if (event.type === 'bind-failed')
      log.warn({ tunnel: event.tunnel, endpoint: event.endpoint, ...event.fault }, 'endpoint refused');
    else if (event.type === 'bound')
      log.info({ tunnel: event.tunnel, endpoint: event.endpoint, url: event.url }, 'endpoint bound');
    else if (event.type === 'disconnected' || event.type === 'lost')
      log.warn(
        { tunnel: event.tunnel, event: event.type, ...('reason' in event ? { reason: event.reason } : {}) },
        'session lost',
      );
  };

  /** Totals stay when a process ends. */
  const retire = (tunnel: string): void => {
    for (const name of Object.keys(supervisor.counters().get(tunnel) ?? {})) retireEndpoint(tunnel, name);
  };
  const retireEndpoint = (tunnel: string, name: string): void => {
    const counted = supervisor.counters().get(tunnel)?.[name];
    if (counted === undefined) return;
    past.set(name, addCounters(past.get(name) ?? noCounters(), retired(counted)));
    supervisor.dropCounters(tunnel, name);
  };

  const remote = (op: 'stop' | 'restart'): void => {
    log.warn({ op }, 'remote command from ngrok');
    if (op === 'stop') void intent.park(true).then(() => supervisor.wake());
    else {
      intent.newEpoch();
      supervisor.wake();
    }
  };

  /** Each refused token is told once. One that was only being tried leaves the device with the one it has. */
  const tokenRefused = (tunnel: string, f: Fault): void => {
    const slot = tunnelSlots.get(tunnel);
    const token = slot === undefined ? null : vault.get()[slot];
    if (token === null || slot === undefined) return;
    if (!toldRefused.has(token.fingerprint)) {
      toldRefused.add(token.fingerprint);
      reporter.event({
        type: 'cred.refused',
        code: f.code,
        data: {
          gen: token.generation,
          fp: token.fingerprint,
          ...(f.ngrokCode === undefined ? {} : { ngrokCode: f.ngrokCode }),
        },
      });
    }
    if (slot === vault.get().current) requestCredential();
  };

  /** Asks the fleet for a token, at most every 15 minutes. */
  const requestCredential = (): void => {
    if (clock.now() - lastCredRequestAt < CRED_REQUEST_GAP_MS) return;
    lastCredRequestAt = clock.now();
    const state = vault.get();
    const want = intent.document()?.document.cred?.gen;
    reporter.event({
      type: 'cred.request',
      data: { gen: state[state.current]?.generation ?? 0, ...(want === undefined ? {} : { want }) },
    });
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
      if (action.kind === 'commit') swapped();
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
  });

  const swapped = (): void => {
    const state = vault.get();
    const slot = state[state.current];
    reporter.event({
      type: 'cred.swapped',
      data: { gen: slot?.generation ?? 0, fp: slot?.fingerprint ?? '' },
    });
    log.info({ generation: slot?.generation }, 'authtoken swapped');
  };

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
      past,
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
        sec: { ...dropped },
      };
    },
    healthS: () => intent.document()?.document.report?.health_s ?? options.healthS,
  });

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
    askedAgain: (names) => {
      supervisor.askedAgain(names);
      idle.asked(names);
    },
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

  const count = (counter: DropCounter): void => {
    dropped[counter] = (dropped[counter] ?? 0) + 1;
    if (counter === 'topic' || clock.now() - lastAlertAt < 60_000) return;
    lastAlertAt = clock.now();
    reporter.event({ type: 'security.alert', code: counter.toUpperCase(), data: { ...dropped } });
    log.warn({ ...dropped }, 'messages dropped');
  };

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
    count,
    spreadMs: (command) => spread(command.id),
  });

  const spread = (id: string): number => {
    const spreadS = intent.document()?.document.report?.spread_s ?? 0;
    if (spreadS === 0) return 0;
    const text = `${id}${device}`;
    let hash = 0;
    for (let i = 0; i < text.length; i++) hash = (hash * 31 + text.charCodeAt(i)) >>> 0;
    return hash % (spreadS * 1000);
  };

  const desiredIntake = createDesiredIntake({
    log,
    clock,
    intent,
    revFloor: options.revFloor,
    context: () => ({ tenant, device, policy: options.trust(), time: time() }),
    count,
    snapshot,
    heldGeneration: () => vault.get()[vault.get().current]?.generation ?? 0,
    wasLost: options.document.recovered === 'lost',
    accepted: () => {
      intake.supersede();
      link?.subscribe(deviceFilters(tenant, device, groups()));
      supervisor.wake();
      changed();
    },
    credentialWanted: requestCredential,
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
      idle.look();
    });
  };

  const handlers: LinkHandlers = {
    will: (n) => reporter.will(n),
    up: async ({ connect, sessionPresent }) => reporter.up(connect, sessionPresent),
    message: async (message) => {
      const topic = parseTopic(message.topic);
      if (topic === undefined) return count('topic');
      if (topic.kind === 'command') return intake.command(message);
      if (topic.kind === 'desired') return desiredIntake.message(message);
      if (topic.kind === 'presence') reporter.presenceSeen(message.payload);
    },
    changed: () => changed(),
  };

  /** Every command left over counts one more attempt first: one that ends the daemon each time is given up. */
  const resumeOne = async (left: JournalEntry): Promise<void> => {
    const entry = (await book.resumed(left.id)) ?? left;
    if (isPoisoned(entry)) {
      log.error({ commandId: entry.id, op: entry.op }, 'command ended the daemon twice: given up');
      reporter.event({ type: 'security.alert', code: 'POISON', data: { id: entry.id, op: entry.op } });
      await intent.clearOverride(targetsOf(entry, intent.declared().keys()));
      supervisor.wake();
      return book.end(entry.id, POISONED);
    }
    const deadlineMs = entry.op === 'rekey' ? RESUME_REKEY_MS + options.drainMs : RESUME_DEADLINE_MS;
    const end = await waiter.until(
      () => judgeUnfinished(entry, vault.get(), snapshot(), swaps.lastRollback()) ?? undefined,
      deadlineMs,
    );
    await book.end(entry.id, end.end === 'met' ? end.value : UNTOLD);
  };

  const resume = async (): Promise<void> => {
    await Promise.all(options.journal.unfinished().map(resumeOne));
  };

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
      supervisor.begin();
      void resume();
      link = options.createLink(handlers, () => intent.document()?.document.report?.spread_s ?? 0);
      link.subscribe(deviceFilters(tenant, device, groups()));
      link.start();
      if (vault.get().a === null && vault.get().b === null) requestCredential();
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
      }),
    snapshot,
    wantedBinds: () => [...(reading?.desired.endpoints.values() ?? [])].map(({ spec }) => spec),
    storeDegraded: (f) => {
      log.error({ ...f }, 'state folder cannot be written');
      reporter.event({ type: 'store.degraded', code: f.code, data: { msg: f.message } });
    },
    networkChanged: () => supervisor.networkChanged(),
    changed,
    isReady: () => supervisor.observed().tunnels.some((t) => t.phase === 'connected'),
  };
};
