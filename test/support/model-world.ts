/**
 * A device, small and whole: the real plan and reducer in the loop that the daemon runs, real slots as durable data, and
 * a model of processes and edge under them. Everything that must hold at each step is checked at each step.
 */
import type { Action } from '../../src/core/action.ts';
import type { BindSpec } from '../../src/core/endpoint.ts';
import { issued } from '../../src/core/issued.ts';
import { initialObserved, type Observed, type TunnelView } from '../../src/core/observed.ts';
import { type Desired, plan, type WantedBind } from '../../src/core/plan.ts';
import {
  forgetRefusals,
  forgetSlot,
  type Moment,
  reduce,
  reduceNetworkChange,
  reduceProbe,
  retryNow,
} from '../../src/core/reduce.ts';
import type { Slot, TunnelEvent } from '../../src/core/tunnel-event.ts';
import type { VaultState } from '../../src/daemon/ports.ts';
import * as slots from '../../src/vault/token-slots.ts';
import { ModelEdge } from './model-edge.ts';
import { ModelProcess } from './model-process.ts';
import { checkAction, checkPlan } from './model-rules.ts';
import { type ModelTime, modelTime } from './model-time.ts';

const SWAP_DEADLINE_MS = 60_000;
const DRAIN_MS = 30_000;
const PROBE_DEADLINE_MS = 2000;
/** More rounds without an event or a passing moment would be a loop that never ends. */
const MAX_ROUNDS = 30;

export interface DeclaredEndpoint {
  readonly name: string;
  readonly pooling: boolean;
  isOn: boolean;
  /** Part of the key: another revision needs another bind. */
  revision: number;
}

export interface WorldOptions {
  readonly seed: number;
  readonly endpoints: readonly { readonly name: string; readonly pooling?: boolean; readonly on?: boolean }[];
  /** Token of the first generation; `null` for a device that has none yet. */
  readonly token?: string | null;
  /** Processes tell when a listener is closed; on by default. */
  readonly tellsClosed?: boolean;
}

export interface SwapOutcome {
  readonly token: string;
  readonly end: 'committed' | 'rolled-back' | 'lost';
  readonly code: string;
  readonly tookMs: number;
}

export class ModelWorld {
  readonly time: ModelTime;
  readonly edge: ModelEdge;
  readonly processes = new Map<string, ModelProcess>();
  readonly endpoints: DeclaredEndpoint[];
  readonly swaps: SwapOutcome[] = [];
  readonly log: string[] = [];
  /** Every action carried out so far. */
  readonly actions: { readonly at: number; readonly action: Action }[] = [];
  vault: VaultState = slots.EMPTY_VAULT;
  observed: Observed;
  epoch = 0;
  session = true;
  /** Rounds planned and moments lived through so far. */
  rounds = 0;
  steps = 0;
  #breakFirst = false;
  #swapDeadlineAt = 0;
  #swapSince = 0;
  #nextTunnel = 1;
  #generation = 1;
  #cancelTimer: (() => void) | null = null;
  #isPlanning = false;
  #isDirty = false;
  #isAway = false;
  #probes = 0;
  #roundsInSecond = { second: -1, rounds: 0 };
  readonly #checks: (() => void)[] = [];
  readonly #tellsClosed: boolean;

  constructor(options: WorldOptions) {
    this.time = modelTime(options.seed);
    this.edge = new ModelEdge(this.time);
    this.#tellsClosed = options.tellsClosed ?? true;
    this.observed = initialObserved(0);
    this.endpoints = options.endpoints.map(({ name, pooling = true, on = true }) => ({
      name,
      pooling,
      isOn: on,
      revision: 1,
    }));
    const token = options.token === undefined ? 'first' : options.token;
    if (token !== null) this.vault = slots.seed(this.vault, token, 'digest').state;
    this.wake();
  }

  /** Looks at the world after each moment of `run`. */
  watch(check: () => void): void {
    this.#checks.push(check);
  }

  run(ms: number): void {
    this.time.run(ms, () => {
      this.steps += 1;
      for (const check of this.#checks) check();
    });
  }

  /** Runs until `isMet`, at most `ms`; the time it took, or null when it was not met. */
  runUntil(isMet: () => boolean, ms: number): number | null {
    const since = this.time.now();
    const end = since + ms;
    let metAt = isMet() ? since : null;
    while (metAt === null && this.time.now() < end) {
      this.run(10);
      if (isMet()) metAt = this.time.now();
    }
    return metAt === null ? null : metAt - since;
  }

  // what is wanted

  spec(e: DeclaredEndpoint): BindSpec {
    return {
      name: e.name,
      proto: 'http',
      url: `https://${e.name}.edge.test`,
      binding: 'public',
      metadata: String(e.revision),
      pooling: e.pooling,
      metering: 'on',
      policy: '',
      upstream: { ref: 'hmi', host: '127.0.0.1', port: 1 },
      closesAtMs: null,
    };
  }

  key(e: DeclaredEndpoint): string {
    return `${e.name}/${e.revision}`;
  }

  desired(): Desired {
    const wanted = this.endpoints.filter((e) => e.isOn);
    const { vault } = this;
    const isUsable = (slot: Slot): boolean =>
      vault[slot] !== null &&
      (slot === vault.current || slot === vault.swap?.to || vault[slot]?.state !== 'refused');
    return {
      session: this.session && (vault.a !== null || vault.b !== null),
      endpoints: new Map(
        wanted.map((e): [string, WantedBind] => [e.name, { spec: this.spec(e), key: this.key(e) }]),
      ),
      current: vault.current,
      usable: { a: isUsable('a'), b: isUsable('b') },
      swap:
        vault.swap === null
          ? null
          : {
              to: vault.swap.to,
              phase: vault.swap.phase,
              breakFirst: this.#breakFirst,
              deadlineAt: this.#swapDeadlineAt,
            },
      epoch: this.epoch,
    };
  }

  // commands

  endpoint(name: string): DeclaredEndpoint {
    const found = this.endpoints.find((e) => e.name === name);
    if (found === undefined) throw new Error(`no endpoint ${name}`);
    return found;
  }

  start(name: string): void {
    this.endpoint(name).isOn = true;
    this.observed = forgetRefusals(this.observed, [name]);
    this.wake();
  }

  stop(name: string): void {
    this.endpoint(name).isOn = false;
    this.wake();
  }

  change(name: string): void {
    this.endpoint(name).revision += 1;
    this.wake();
  }

  restart(): void {
    this.epoch += 1;
    this.wake();
  }

  lock(isLocked: boolean): void {
    this.session = !isLocked;
    this.wake();
  }

  retry(): void {
    this.observed = retryNow(this.observed, this.time.now());
    this.wake();
  }

  networkChanged(): void {
    this.observed = reduceNetworkChange(this.observed, this.time.now());
    this.wake();
  }

  /** Stages another token; does nothing while a swap is under way, as the daemon queues them. */
  rekey(token: string, breakFirst = false): void {
    if (this.vault.swap !== null) return;
    this.#generation += 1;
    const generation = this.#generation;
    this.vault = slots.stage(
      this.vault,
      { authtoken: token, generation, credentialId: '', source: 'rekey' },
      'cmd',
    );
    const { swap } = this.vault;
    if (swap === null) throw new Error('not staged');
    this.#breakFirst = breakFirst;
    this.#swapDeadlineAt = this.time.now() + SWAP_DEADLINE_MS;
    this.#swapSince = this.time.now();
    this.observed = forgetSlot(this.observed, swap.to);
    this.note(`rekey ${token} into ${swap.to}${breakFirst ? ' break-first' : ''}`);
    this.wake();
  }

  // faults

  /** The device loses power and comes back after `ms`; nothing runs any more. */
  powerCut(ms: number): void {
    for (const p of this.processes.values()) p.vanish();
    this.processes.clear();
    this.#boot(ms, () => undefined);
  }

  /** The supervisor dies and another one adopts, after `ms`, what still runs. */
  supervisorCrash(ms: number): void {
    this.#boot(ms, () => {
      const views = [...this.processes.values()].flatMap((p) => this.#adopted(p) ?? []);
      this.observed = { ...this.observed, tunnels: views };
      const isUp = views.some((v) => v.phase === 'connected');
      if (isUp) this.observed = { ...this.observed, downSince: null, upSince: this.time.now() };
      for (const p of this.processes.values()) p.repeat();
    });
    // Orphans without a session end by themselves.
    for (const p of this.processes.values()) if (p.state === 'connecting') p.exit(0, null);
  }

  #boot(ms: number, then: () => void): void {
    this.note('boot');
    this.#isAway = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.time.after(ms, () => {
      this.#isAway = false;
      this.#probes += 1;
      this.epoch = 0;
      this.#breakFirst = false;
      this.#swapDeadlineAt = this.time.now() + SWAP_DEADLINE_MS;
      this.#swapSince = this.time.now();
      this.observed = initialObserved(this.time.now());
      then();
      this.wake();
    });
  }
  get isAway(): boolean {
    return this.#isAway;
  }

  #adopted(p: ModelProcess): TunnelView | null {
    if (p.state === 'dead' || p.session === null || p.isFrozen) {
      p.kill();
      return null;
    }
    const now = this.time.now();
    const slot = this.vault.b?.authtoken === p.token ? 'b' : 'a';
    const isKnown = this.vault[slot]?.authtoken === p.token;
    return {
      id: p.id,
      slot,
      generation: 1,
      epoch: isKnown ? 0 : -1,
      pid: 1,
      phase: p.state === 'wobbling' ? 'wobbling' : 'connected',
      lostReason: null,
      startedAt: now,
      connectDeadlineMs: 0,
      connectedAt: now,
      sessionId: p.id,
      latencyMs: null,
      fault: null,
      cut: [],
      endpoints: Object.fromEntries(
        [...p.endpoints.values()]
          .filter((e) => e.isBound && !e.isClosing)
          .map((e) => [
            e.spec.name,
            {
              key: `${e.spec.name}/${e.spec.metadata}`,
              phase: e.isServing ? 'serving' : 'bound',
              url: e.spec.url,
              endpointId: '',
              since: now,
            },
          ]),
      ),
    };
  }

  // what is true

  /** Live copies of an endpoint that visitors reach, with the wanted revision. */
  copies(name: string): number {
    const key = this.key(this.endpoint(name));
    return [...this.processes.values()].filter((p) => {
      const e = p.endpoints.get(name);
      return e !== undefined && `${name}/${e.spec.metadata}` === key && p.serves(name);
    }).length;
  }

  isServingAll(): boolean {
    return this.endpoints.every((e) => !e.isOn || this.copies(e.name) > 0);
  }

  alive(): readonly ModelProcess[] {
    return [...this.processes.values()].filter((p) => p.state !== 'dead');
  }

  /** One process, serving all that is wanted and nothing else, and no swap left half done. */
  isSteady(): boolean {
    if (this.vault.swap !== null || this.alive().length !== 1) return false;
    const [only] = this.alive();
    return this.endpoints.every((e) =>
      e.isOn ? this.copies(e.name) === 1 : only?.endpoints.has(e.name) === false,
    );
  }

  note(text: string): void {
    this.log.push(`${(this.time.now() / 1000).toFixed(3)} ${text}`);
  }

  fail(why: string): never {
    this.note(`FAILED ${why}`);
    throw new Error(`${why}\n${this.log.slice(-80).join('\n')}`);
  }

  // the loop

  wake(): void {
    this.#isDirty = true;
    if (this.#isPlanning || this.#isAway) return;
    this.#isPlanning = true;
    let rounds = 0;
    while (this.#isDirty) {
      this.#isDirty = false;
      rounds += 1;
      if (rounds > MAX_ROUNDS) this.fail('the loop does not come to rest');
      this.#round();
    }
    this.#isPlanning = false;
  }

  #round(): void {
    this.rounds += 1;
    const second = Math.floor(this.time.now() / 1000);
    if (this.#roundsInSecond.second !== second) this.#roundsInSecond = { second, rounds: 0 };
    this.#roundsInSecond.rounds += 1;
    if (this.#roundsInSecond.rounds > 150) this.fail('more than 150 rounds in one second');
    const now = this.time.now();
    const desired = this.desired();
    const next = plan(desired, this.observed, now);
    checkPlan(this, desired, next, now);
    for (const action of next.actions) {
      checkAction(this, desired, action);
      this.note(describe(action));
      this.actions.push({ at: now, action });
      const id = action.kind === 'start' ? `t${this.#nextTunnel++}` : '';
      this.observed = issued(this.observed, action, id, this.#generation, now);
      this.#execute(action, id);
    }
    if (next.actions.length > 0) this.#isDirty = true;
    this.#cancelTimer?.();
    this.#cancelTimer =
      next.wakeAt === null ? null : this.time.after(Math.max(1, next.wakeAt - now), () => this.wake());
  }

  #moment(): Moment {
    return { now: this.time.now(), random01: this.time.random() };
  }

  #hear(event: TunnelEvent): void {
    if (event.type === 'exited') this.processes.delete(event.tunnel);
    if (this.#isAway) return;
    if (event.type !== 'started' && event.type !== 'heartbeat')
      this.note(
        `  ${event.tunnel} ${event.type} ${'endpoint' in event ? event.endpoint : ''}${'fault' in event && event.fault ? ` ${event.fault.ngrokCode ?? event.fault.code}` : ''}${'reason' in event ? event.reason : ''}`,
      );
    this.observed = reduce(this.observed, event, this.#moment());
    this.wake();
  }

  #execute(action: Action, id: string): void {
    switch (action.kind) {
      case 'start': {
        const token = this.vault[action.slot]?.authtoken;
        if (token === undefined) this.fail('started a slot without a token');
        const process = new ModelProcess({
          id,
          token,
          connectDeadlineMs: action.connectDeadlineMs,
          time: this.time,
          edge: this.edge,
          emit: (event) => this.#hear(event),
          tellsClosed: this.#tellsClosed,
        });
        this.processes.set(id, process);
        return;
      }
      case 'bind':
        this.processes.get(action.tunnel)?.bind(action.spec);
        return;
      case 'unbind':
        this.processes.get(action.tunnel)?.unbind(action.endpoint, DRAIN_MS);
        return;
      case 'drain':
        this.processes.get(action.tunnel)?.drain(DRAIN_MS);
        return;
      case 'kill':
        this.processes.get(action.tunnel)?.kill();
        return;
      case 'probe':
        this.#probe(action.depth);
        return;
      case 'commit':
        this.vault = slots.commit(this.vault);
        return;
      case 'rollback': {
        const staged = this.vault.swap?.to;
        this.#swapEnds('rolled-back', action.fault.ngrokCode ?? action.fault.code);
        this.vault = slots.rollback(this.vault);
        if (staged !== undefined) this.observed = forgetSlot(this.observed, staged);
        return;
      }
      case 'break-first':
        this.#breakFirst = true;
        return;
      case 'finish-swap':
        this.#swapEnds('committed', '');
        this.vault = slots.finish(this.vault);
        return;
      case 'fall-back':
        this.vault = slots.fallBack(slots.markRefused(this.vault, this.vault.current));
        return;
    }
  }

  #swapEnds(end: SwapOutcome['end'], code: string): void {
    const { swap } = this.vault;
    if (swap === null) this.fail('a swap ends that is none');
    const token = this.vault[swap.to]?.authtoken ?? '';
    this.swaps.push({ token, end, code, tookMs: this.time.now() - this.#swapSince });
  }

  #probe(depth: 'tcp' | 'tls'): void {
    const life = this.#probes;
    let isOver = false;
    const end = (answered: boolean): void => {
      if (isOver) return;
      isOver = true;
      stop();
      if (life !== this.#probes || this.#isAway) return;
      this.note(`  probe ${depth} ${answered ? 'answered' : 'failed'}`);
      this.observed = reduceProbe(this.observed, depth, answered, this.#moment());
      this.wake();
    };
    const isThrough = (): boolean =>
      this.edge.mode === 'up' || (this.edge.mode === 'middlebox' && depth === 'tcp');
    const stop = (): void => undefined;
    this.time.after(PROBE_DEADLINE_MS, () => end(false));
    const attempt = (): void => {
      if (isOver) return;
      if (isThrough()) this.time.after(this.time.between(2, 60), () => end(isThrough()));
      else if (this.edge.mode === 'closed') this.time.after(2, () => end(false));
      // A lost SYN is sent again after a second; what a middlebox swallowed is not.
      else if (this.edge.mode !== 'middlebox') this.time.after(1000, attempt);
    };
    attempt();
  }
}

const describe = (action: Action): string => {
  switch (action.kind) {
    case 'start':
      return `start ${action.slot} epoch ${action.epoch} ${action.connectDeadlineMs}`;
    case 'bind':
      return `bind ${action.tunnel} ${action.spec.name}`;
    case 'unbind':
      return `unbind ${action.tunnel} ${action.endpoint}`;
    case 'drain':
    case 'kill':
      return `${action.kind} ${action.tunnel}`;
    case 'probe':
      return `probe ${action.depth}`;
    case 'commit':
    case 'finish-swap':
      return action.kind;
    case 'rollback':
    case 'break-first':
      return `${action.kind} ${action.fault.ngrokCode ?? action.fault.code}`;
    case 'fall-back':
      return `fall-back ${action.to}`;
  }
};
