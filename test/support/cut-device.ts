/**
 * A whole device in model time: the real daemon, vault, journal and stores, over a disk that forgets what was not made
 * durable, with a model of processes, edge and broker. Every system call on the disk, every message and every word
 * between supervisor and process is a boundary, and at any of them the power can go, or the supervisor alone.
 */
import { openRecords } from '../../src/assembly/open-state.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { EndpointSpec } from '../../src/core/endpoint.ts';
import { failed, fault, ok } from '../../src/core/errors.ts';
import type { TunnelEvent } from '../../src/core/tunnel-event.ts';
import { createDaemon } from '../../src/daemon/daemon.ts';
import { createDeviceClock } from '../../src/daemon/device-clock.ts';
import { createKeeper } from '../../src/daemon/keeper.ts';
import type { Daemon } from '../../src/daemon/options.ts';
import type {
  AdoptedTunnel,
  Link,
  LinkHandlers,
  LinkStatus,
  TunnelStart,
  Tunnels,
  VaultState,
} from '../../src/daemon/ports.ts';
import { newBootNonce, newCommandId } from '../../src/protocol/ids.ts';
import { openJournal } from '../../src/vault/journal.ts';
import { openOutboxFile } from '../../src/vault/outbox-file.ts';
import { seed as seedSlots } from '../../src/vault/token-slots.ts';
import { openTokenVault } from '../../src/vault/token-vault.ts';
import { asVaultPort } from '../../src/vault/vault-port.ts';
import { CutBroker } from './cut-broker.ts';
import { cutDisk, never } from './cut-disk.ts';
import { bindOf, endpointSpec } from './endpoint-spec.ts';
import { MemoryDisk, type Unsynced, type UnsyncedEntries } from './memory-disk.ts';
import { ModelEdge } from './model-edge.ts';
import { ModelProcess } from './model-process.ts';
import { type ModelTime, modelTime } from './model-time.ts';

const DIR = '/state';
const TENANT = 'sandbox';
const DEVICE = 'device-1';
const DRAIN_MS = 5000;
const CONNECT_MS = 50;
/** Some day; model time counts from it. */
const WALL_MS = 1_800_000_000_000;
const LOG = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export type CutKind = 'power' | 'supervisor' | 'process' | 'edge';

export interface Cut {
  readonly kind: CutKind;
  /** Number of the boundary at which it strikes, from 1, counted from `count()`. */
  readonly at: number;
  /** What the disk shows of the unsynced once the power is back. */
  readonly unsynced: Unsynced;
  readonly entries: UnsyncedEntries;
}

interface Life {
  isOver: boolean;
  readonly bornAt: number;
  daemon: Daemon | null;
  onEvent: ((event: TunnelEvent) => void) | null;
  /** Messages that the device has begun to handle. */
  handling: number;
}

interface Held {
  readonly process: ModelProcess;
  readonly start: TunnelStart;
}

export class CutDevice {
  readonly time: ModelTime;
  readonly edge: ModelEdge;
  readonly broker = new CutBroker();
  readonly disk = new MemoryDisk();
  /** Names of the boundaries passed since `count()`. */
  readonly boundaries: string[] = [];
  readonly log: string[] = [];
  readonly #endpoints: readonly EndpointSpec[];
  readonly #held = new Map<string, Held>();
  readonly #tokens = new Map<string, string>();
  #cuts: Cut[] = [];
  #isCounting = false;
  #life: Life;
  #readVault: () => VaultState | null = () => null;
  #seq = 0;

  constructor(
    seed: number,
    endpoints: readonly { readonly name: string; readonly pooling: boolean; readonly on?: boolean }[],
  ) {
    this.time = modelTime(seed);
    this.edge = new ModelEdge(this.time);
    this.#endpoints = endpoints.map(({ name, pooling, on = true }) =>
      endpointSpec(name, { pooling, on, url: `https://${name}.edge.test` }),
    );
    this.#life = this.#boot(true);
  }

  /** From here on boundaries have numbers, and the cuts strike at theirs. */
  count(cuts: readonly Cut[]): void {
    this.boundaries.length = 0;
    this.#isCounting = true;
    this.#cuts = [...cuts].sort((a, b) => a.at - b.at);
  }

  /** Cuts that have not struck do not any more. */
  disarm(): void {
    this.#cuts = [];
  }

  /** Lives on until `isMet`, at most `ms`; false when it was not met. `look` is called after each moment. */
  async until(isMet: () => boolean, ms: number, look: () => void = () => undefined): Promise<boolean> {
    const end = this.time.now() + ms;
    for (;;) {
      await this.#settle();
      look();
      if (isMet()) return true;
      if (!this.time.step(end)) return isMet();
    }
  }

  /** All that promises can do without time going on. */
  async #settle(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve));
    while (!this.#life.isOver && this.#life.handling > 0);
  }

  /** Sends a command as the cloud does; its id. */
  command(op: string, args: Readonly<Record<string, unknown>>): string {
    const id = newCommandId({
      wall: () => Math.round(WALL_MS + this.time.now()),
      random: () => this.time.random(),
    });
    const iat = Math.floor((WALL_MS + this.time.now()) / 1000);
    this.#seq += 1;
    const body = { v: 1, id, to: `d:${DEVICE}`, op, iat, exp: iat + 600, seq: iat * 1000 + this.#seq, args };
    this.broker.send(`lk1/${TENANT}/d/${DEVICE}/cmd/${op}`, body);
    return id;
  }

  rekey(authtoken: string, gen: number): string {
    // Sealing is the work of another room: here any text of the right form stands for the token.
    const sealed = `${'a'.repeat(200)}..b.c.${gen}`;
    this.#tokens.set(sealed, authtoken);
    return this.command('rekey', { gen, sealed });
  }

  // what is true

  /** Null while no daemon runs. */
  vault(): VaultState | null {
    return this.#life.isOver ? null : this.#readVault();
  }

  copies(name: string): number {
    return [...this.#held.values()].filter(({ process }) => process.serves(name)).length;
  }

  processes(): number {
    return [...this.#held.values()].filter(({ process }) => process.state !== 'dead').length;
  }

  fail(why: string): never {
    throw new Error(`${why}\n${this.log.slice(-60).join('\n')}`);
  }

  #note(text: string): void {
    this.log.push(`${(this.time.now() / 1000).toFixed(3)} ${text}`);
  }

  // boundaries and cuts

  /** Passes a boundary; true when this life ends there. */
  #pass(life: Life, what: string): boolean {
    if (life.isOver) return true;
    if (!this.#isCounting) return false;
    this.boundaries.push(what);
    this.#note(`${this.boundaries.length} ${what}`);
    while (this.#cuts[0]?.at === this.boundaries.length) {
      const cut = this.#cuts.shift();
      if (cut !== undefined && !life.isOver) this.#strike(life, cut);
    }
    return life.isOver;
  }

  #around(life: Life, what: string, effect: () => void): void {
    if (this.#pass(life, `before ${what}`)) return;
    effect();
    this.#pass(life, `after ${what}`);
  }

  #strike(life: Life, cut: Cut): void {
    this.#note(`CUT ${cut.kind}`);
    if (cut.kind === 'edge') {
      this.edge.cutAll();
      return;
    }
    if (cut.kind === 'process') {
      const alive = [...this.#held.values()].filter(({ process }) => process.state !== 'dead');
      alive.at(Math.floor(this.time.random() * alive.length))?.process.crash();
      return;
    }
    life.isOver = true;
    this.broker.consume(null);
    if (cut.kind === 'power') {
      this.disk.failAt(0);
      for (const { process } of this.#held.values()) process.vanish();
      this.#held.clear();
    } else {
      // Orphans without a session end by themselves.
      for (const { process } of [...this.#held.values()])
        if (process.state === 'connecting') process.exit(0, null);
    }
    this.time.after(cut.kind === 'power' ? 5000 : 1000, () => {
      if (cut.kind === 'power') this.disk.powerOn(cut.unsynced, cut.entries);
      this.#life = this.#boot(false);
    });
  }

  // one life

  #boot(isFirst: boolean): Life {
    const life: Life = { isOver: false, bornAt: this.time.now(), daemon: null, onEvent: null, handling: 0 };
    this.#note('boot');
    void this.#start(life, isFirst);
    return life;
  }

  async #start(life: Life, isFirst: boolean): Promise<void> {
    const clock = this.#clock(life);
    const disk = cutDisk({
      disk: this.disk,
      isOver: () => life.isOver,
      pass: (what) => this.#pass(life, what),
      isDoneAnyway: () => this.time.random() < 0.5,
    });
    const place = { dir: DIR, disk };
    const vault = await openTokenVault(place);
    this.#readVault = () => vault.state();
    if (isFirst) await vault.apply((state) => seedSlots(state, 'first', 'digest').state);
    else if (vault.recovered === 'lost') this.fail('every copy of the vault was lost');
    const journal = await openJournal({ ...place, nowS: () => Math.floor(clock.wall() / 1000) });
    const { runtime, document, revFloor } = await openRecords(place);
    life.daemon = createDaemon({
      clock,
      log: LOG,
      version: '0.0.0',
      ngrokVersion: '0.0.0',
      boot: newBootNonce(),
      tenant: TENANT,
      device: DEVICE,
      drainMs: DRAIN_MS,
      swapDeadlineMs: 60_000,
      defaultLeaseS: 3600,
      healthS: 60,
      connEvents: 'off',
      outboxFile: await openOutboxFile(DIR, disk),
      trustMode: 'broker',
      deviceClock: createDeviceClock({ clock, buildS: 0, isSynchronised: () => true }),
      tunnels: this.#tunnels(life),
      probe: () => this.#probe(),
      vault: asVaultPort(vault),
      journal,
      runtime: createKeeper(runtime),
      document,
      revFloor,
      continuity: null,
      identity: {
        publicKey: () => ({ kty: 'OKP', crv: 'X25519', kid: 'device', x: 'x'.repeat(43) }),
        fingerprint: () => 'fingerprint',
        renew: () => Promise.resolve(failed(fault('BAD_ARGS', 'No keys here.', false))),
      },
      keyLevel: 'file',
      fileEndpoints: this.#endpoints,
      documentEndpoint: () => failed(fault('BAD_ARGS', 'No documents here.', false)),
      resolve: (spec) => ok(bindOf(spec)),
      windowState: () => undefined,
      trust: () => ({ mode: 'broker' }),
      replaceKeys: () => Promise.resolve(failed(fault('BAD_ARGS', 'No keys here.', false))),
      unseal: (sealed, { dev, gen }) => {
        const tok = this.#tokens.get(sealed);
        return Promise.resolve(
          tok === undefined
            ? failed(fault('UNSEAL_FAILED', 'Not for this device.', false))
            : ok({ tok, cid: '', dev, gen }),
        );
      },
      createLink: (handlers) => this.#link(life, handlers),
      machine: () => Promise.resolve(undefined),
      recovered: [],
      extraConditions: () => [],
    });
    await life.daemon.start();
  }

  #clock(life: Life): Clock {
    return {
      // It begins anew with each start of the machine, as the real one does.
      now: () => this.time.now() - life.bornAt,
      wall: () => Math.round(WALL_MS + this.time.now()),
      random: () => this.time.random(),
      after: (ms, fn) =>
        this.time.after(ms, () => {
          if (!life.isOver) fn();
        }),
    };
  }

  #probe(): Promise<boolean> {
    return new Promise((resolve) => {
      this.time.after(this.edge.mode === 'up' ? 30 : 2000, () => resolve(this.edge.mode === 'up'));
    });
  }

  #hear(event: TunnelEvent): void {
    const life = this.#life;
    if (event.type === 'exited') this.#held.delete(event.tunnel);
    if (life.isOver || life.onEvent === null) return;
    this.#around(life, `${event.tunnel} tells ${event.type}`, () => life.onEvent?.(event));
  }

  #adopted({ process, start }: Held): AdoptedTunnel | null {
    if (process.session === null || process.state === 'draining') {
      process.kill();
      return null;
    }
    return {
      tunnel: process.id,
      pid: 1,
      slot: start.slot,
      generation: start.generation,
      sessionId: process.id,
      connected: process.state !== 'wobbling',
      endpoints: [...process.endpoints.values()]
        .filter((e) => e.isBound && !e.isClosing)
        .map(({ spec, isServing }) => ({ spec, url: spec.url, endpointId: '', serving: isServing })),
    };
  }

  #tunnels(life: Life): Tunnels {
    const tell = (what: string, tunnel: string, effect: (process: ModelProcess) => void): void => {
      const process = this.#held.get(tunnel)?.process;
      if (life.isOver || process === undefined) return;
      this.#around(life, `${what} ${tunnel}`, () => effect(process));
    };
    return {
      start: (start) => {
        if (life.isOver) return;
        this.#around(life, `start ${start.tunnel}`, () => {
          const process = new ModelProcess({
            id: start.tunnel,
            token: start.authtoken,
            connectDeadlineMs: start.connectDeadlineMs,
            time: this.time,
            edge: this.edge,
            emit: (event) => this.#hear(event),
            tellsClosed: true,
          });
          this.#held.set(start.tunnel, { process, start });
        });
      },
      bind: (tunnel, spec) => tell(`bind ${spec.name}`, tunnel, (p) => p.bind(spec)),
      unbind: (tunnel, name, drainMs) => tell(`unbind ${name}`, tunnel, (p) => p.unbind(name, drainMs)),
      setClosesAt: () => undefined,
      drain: (tunnel, drainMs) => tell('drain', tunnel, (p) => p.drain(drainMs)),
      kill: (tunnel) => tell('kill', tunnel, (p) => p.kill()),
      adopt: () => {
        const adopted = [...this.#held.values()].flatMap((held) => this.#adopted(held) ?? []);
        // Standing conditions are told again once the new supervisor listens.
        for (const { process } of this.#held.values()) this.time.after(1, () => process.repeat());
        return Promise.resolve(adopted);
      },
      release: () => Promise.resolve(),
      onEvent: (listener) => {
        life.onEvent = listener;
      },
      processes: () => [...this.#held.keys()].map((tunnel) => ({ tunnel, pid: 1, silentMs: 0 })),
    };
  }

  #link(life: Life, handlers: LinkHandlers): Link {
    const connect = 1;
    let state: LinkStatus['state'] = 'connecting';
    const status = (): LinkStatus => ({
      state,
      broker: 'mqtt://broker',
      protocol: 5,
      sinceMs: 0,
      connects: connect,
      lastError: null,
      refusedFilters: [],
      problems: [],
      certificateDaysLeft: null,
    });
    return {
      status,
      start: () => {
        handlers.will(connect);
        this.#clock(life).after(CONNECT_MS, () => {
          state = 'connected';
          handlers.changed(status());
          void handlers.up({ connect, protocol: 5, sessionPresent: true });
          // One at a time, as the real link does.
          let queue = Promise.resolve();
          this.broker.consume((message) => {
            life.handling += 1;
            queue = queue.then(async () => {
              if (this.#pass(life, 'before a message comes')) return;
              await handlers.message(message);
              life.handling -= 1;
              if (this.#pass(life, 'before its acknowledgement')) return;
              this.broker.acknowledge(message);
              this.#pass(life, 'after its acknowledgement');
            });
          });
        });
      },
      subscribe: () => undefined,
      refresh: () => Promise.resolve(),
      publish: async (message) => {
        await Promise.resolve();
        const leaf = message.topic.split('/').slice(4).join('/');
        if (this.#pass(life, `before the publication of ${leaf}`)) return never();
        this.broker.take(message);
        if (this.#pass(life, `after the publication of ${leaf}`)) return never();
        return undefined;
      },
      stop: () => Promise.resolve(),
    };
  }
}
