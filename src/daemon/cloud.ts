/** The side that talks with the cloud: what comes in is judged, run and answered, what changes is told. */
import { OPS } from '../protocol/command-schema.ts';
import type { JudgeTime } from '../protocol/judge-context.ts';
import { deviceFilters, parseTopic } from '../protocol/topics.ts';
import { type Commands, createCommands } from './commands.ts';
import { createDesiredIntake, type DesiredIntake } from './desired-intake.ts';
import { createDropCount, type DropCount } from './drop-count.ts';
import { createIntake, type Intake } from './intake.ts';
import type { DaemonOptions } from './options.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import type { Link, LinkHandlers } from './ports.ts';
import { createReporter, type Reporter } from './reporter.ts';
import { createResultBook, type ResultBook } from './result-book.ts';
import type { Service } from './service.ts';
import { spreadMs } from './spread.ts';
import type { WallTime } from './wall-time.ts';

export interface Cloud {
  readonly reporter: Reporter;
  readonly book: ResultBook;
  readonly commands: Commands;
  readonly desiredIntake: DesiredIntake;
  readonly drops: DropCount;
  readonly outbox: Outbox;
  link(): Link | null;
  time(): JudgeTime;
  /** Makes the link and connects. */
  connect(): void;
  /** Looks at the changed picture: which revision is applied now, and what is news. */
  look(): void;
}

/** `service` is asked for only once both sides exist. */
export const createCloud = (
  options: DaemonOptions,
  service: Service,
  startedAt: number,
  wall: WallTime,
  changed: () => void,
): Cloud => {
  const { clock, log, vault, boot, tenant, device } = options;
  const { intent, supervisor, swaps, waiter, credentials, idle, snapshot, activeHours } = service;
  const outbox = createOutbox({ clock, file: options.outboxFile });
  let link: Link | null = null;

  const time = (): JudgeTime => options.deviceClock.time(options.runtime.get().floorS);

  const reporter = createReporter({
    clock,
    wall,
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
      enc: options.identity.publicKey(),
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
    activeHours,
    healthS: () => intent.document()?.document.report?.health_s ?? options.healthS,
    connS: () => (options.connEvents === 'off' ? 0 : (intent.document()?.document.report?.conn_s ?? 0)),
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
    wallS: wall.s,
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
    renewKey: async (sealed) => {
      const renewed = await options.identity.renew(sealed, time().nowS);
      if (renewed.ok) await reporter.reportNow();
      return renewed;
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
    saveWindow: async ({ windowKey, nextWindow, command }) => {
      const runtime = options.runtime.get();
      const floorS = options.deviceClock.raise(runtime.floorS, command.iat);
      await options.runtime.update({ windows: { ...runtime.windows, [windowKey]: nextWindow }, floorS });
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
    changed,
  };

  return {
    reporter,
    book,
    commands,
    desiredIntake,
    drops,
    outbox,
    link: () => link,
    time,
    connect: () => {
      link = options.createLink(handlers, () => intent.document()?.document.report?.spread_s ?? 0);
      link.subscribe(deviceFilters(tenant, device, groups()));
      link.start();
    },
    look: () => {
      desiredIntake.look();
      reporter.changed();
    },
  };
};
