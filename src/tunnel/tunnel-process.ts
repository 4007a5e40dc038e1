import type { Session } from '@ngrok/ngrok';
import type { Clock } from '../core/clock.ts';
import { fault } from '../core/errors.ts';
import type { TunnelId } from '../core/tunnel-event.ts';
import { findEdgeSockets } from './edge-socket.ts';
import { createEndpoints, type Endpoints } from './endpoints.ts';
import type { ProcessEvent, Reply, Request, StartConfig } from './messages.ts';
import { createNoDelay } from './no-delay.ts';
import { scrub } from './scrub.ts';
import { isDialWarning } from './sdk-errors.ts';
import { connectSession, serverAddrOf } from './sdk-session.ts';
import { createSessionWatch, type SessionWatch } from './session-watch.ts';
import { createSupervisorLink, type SupervisorLink } from './supervisor-link.ts';

/** How long the drain may take that nobody supervises any more, and that of SIGTERM. */
const ORPHAN_DRAIN_MS = 15_000;
const SIGTERM_DRAIN_MS = 5_000;
const SAME_LOG_EVERY_MS = 10_000;
const COUNTERS_EVERY_MS = 1_000;
/** The SDK may still be writing what the relay handed it last. */
const LINGER_MS = 150;
/** A process that nobody tells what to do ends. */
const START_DEADLINE_MS = 10_000;

export const EXIT_DRAINED = 0;
export const EXIT_NOT_CONNECTED = 69;
export const EXIT_BROKEN = 70;

/** One tunnel process: a session, its endpoints, and the supervisor that holds it, or none for a while. */
export class TunnelProcess {
  readonly #clock: Clock;
  readonly #link: SupervisorLink;
  readonly #endpoints: Endpoints;
  readonly #exit: (code: number) => never;
  #config: StartConfig | null = null;
  #session: Session | null = null;
  #sessionId = '';
  #watch: SessionWatch | null = null;
  #noDelay: (() => void) | null = null;
  #cancelGrace: (() => void) | null = null;
  #draining: Promise<void> | null = null;
  #lastCounters = '';
  #lastLog = { message: '', atMs: 0 };

  constructor(options: {
    readonly runDir: string;
    readonly tunnel: TunnelId;
    readonly clock: Clock;
    readonly exit: (code: number) => never;
  }) {
    this.#clock = options.clock;
    this.#exit = options.exit;
    this.#endpoints = createEndpoints({
      tunnel: options.tunnel,
      runDir: options.runDir,
      clock: options.clock,
      emit: (event) => this.#emit(event),
      tellConnections: () => this.#config?.tellConnections === true,
      hasBeat: () => this.#watch?.hasBeat ?? false,
      onUnresponsive: () => this.#watch?.unresponsive(),
    });
    this.#link = createSupervisorLink(
      options.runDir,
      options.tunnel,
      {
        request: (request) => this.#request(request),
        answered: (request) => this.#answered(request),
        lost: () => this.#orphaned(),
        found: () => {
          this.#cancelGrace?.();
          this.#cancelGrace = null;
        },
      },
      (text) => this.scrub(text),
    );
  }

  /** Takes the authtoken out of a text that is to leave the process. */
  scrub(text: string): string {
    return scrub(text, this.#config === null ? [] : [this.#config.authtoken]);
  }

  /** No visitor waits for anything. */
  get isIdle(): boolean {
    return Object.values(this.#endpoints.counters()).every(({ inFlight }) => inFlight === 0);
  }

  /** Opens the channel; from here on the supervisor commands. */
  async run(): Promise<void> {
    await this.#link.open();
    this.#clock.after(START_DEADLINE_MS, () => {
      if (this.#config === null) this.#end(EXIT_BROKEN);
    });
  }

  /** First SIGTERM: drains for a moment; the second one ends the process at once. */
  terminate(): void {
    if (this.#draining === null && this.#session !== null) this.#drain(SIGTERM_DRAIN_MS);
    else this.#end(EXIT_DRAINED);
  }

  #emit(event: ProcessEvent): void {
    this.#link.emit(event);
  }

  #end(code: number): never {
    this.#link.close();
    return this.#exit(code);
  }

  #request(request: Request): Extract<Reply, { readonly type: 'answer' }> {
    const { id } = request;
    const refuse = (message: string): Extract<Reply, { readonly type: 'answer' }> => ({
      type: 'answer',
      id,
      ok: false,
      fault: fault('INTERNAL', message, false),
    });
    if (request.type === 'start') {
      if (this.#config !== null) return refuse('This process was started already.');
    } else if (this.#config === null) return refuse('This process was not started yet.');
    else if (request.type === 'bind' && this.#session === null) return refuse('There is no session yet.');
    const connectedAt = this.#watch?.connectedAt ?? null;
    const snapshot =
      request.type === 'adopt' && this.#config !== null
        ? {
            tunnel: this.#config.tunnel,
            pid: process.pid,
            slot: this.#config.slot,
            generation: this.#config.generation,
            sessionId: this.#sessionId,
            connected: this.#watch?.isConnected ?? false,
            ...(connectedAt === null ? {} : { connectedAt }),
            endpoints: this.#endpoints.snapshot(),
          }
        : null;
    return { type: 'answer', id, ok: true, snapshot };
  }

  #answered(request: Request): void {
    switch (request.type) {
      case 'start':
        if (this.#config === null) {
          this.#config = request.config;
          void this.#start(request.config);
        }
        return;
      case 'adopt':
        this.#watch?.repeat();
        this.#endpoints.repeat();
        this.#lastCounters = '';
        return;
      case 'ping':
        return;
      case 'bind':
        if (this.#session !== null) this.#endpoints.bind(this.#session, request.spec);
        return;
      case 'unbind':
        if (this.#endpoints.has(request.endpoint)) {
          void this.#endpoints.unbind(request.endpoint, request.drainMs);
        } else this.#emit({ type: 'unbound', endpoint: request.endpoint, cut: [] });
        return;
      case 'closes-at':
        this.#endpoints.setClosesAt(request.endpoint, request.closesAtMs);
        return;
      case 'drain':
        this.#drain(request.deadlineMs);
        return;
    }
  }

  async #start(config: StartConfig): Promise<void> {
    const serverAddr = serverAddrOf(config);
    const watch = createSessionWatch(
      this.#clock,
      config.heartbeatIntervalS * 1_000,
      async () => {
        const found = await findEdgeSockets(serverAddr, this.#endpoints.remotes());
        return found === null ? null : found.length > 0;
      },
      (event) => this.#emit(event),
    );
    this.#watch = watch;
    let isNoDelayDue = false;
    const connected = await connectSession(config, this.#clock, {
      disconnected: () => {
        isNoDelayDue = true;
        watch.disconnected();
      },
      beat: (latencyMs) => {
        watch.beat(latencyMs);
        this.#endpoints.beat();
        if (latencyMs === null || !isNoDelayDue) return;
        isNoDelayDue = false;
        this.#noDelay?.();
      },
      remote: (op) => this.#emit({ type: 'remote', op }),
      log: (level, target, message) => this.#log(level, target, message),
    });
    if (!connected.ok) {
      this.#emit({ type: 'connect-failed', fault: connected.fault });
      await this.#link.flushed();
      this.#end(EXIT_NOT_CONNECTED);
    }
    if (config.noDelay) {
      const { apply } = createNoDelay(serverAddr, () => this.#endpoints.remotes());
      this.#noDelay = () => void apply();
      // Before the first bind: no connection of ours can be mistaken for the SDK's.
      await apply();
    }
    const { session, sessionId, tookMs } = connected.value;
    this.#session = session;
    this.#sessionId = sessionId;
    watch.connected();
    this.#emit({ type: 'connected', sessionId, tookMs });
    this.#clock.after(COUNTERS_EVERY_MS, () => this.#tick());
  }

  /** Passes a line of the SDK on, the same one at most every few seconds: some come once per connection. */
  #log(level: 'warn' | 'error', target: string, message: string): void {
    if (isDialWarning(message)) this.#endpoints.dialFailed();
    const now = this.#clock.now();
    if (this.#lastLog.message === message && now - this.#lastLog.atMs < SAME_LOG_EVERY_MS) return;
    this.#lastLog = { message, atMs: now };
    this.#link.log(level, target, message);
  }

  #tick(): void {
    this.#clock.after(COUNTERS_EVERY_MS, () => this.#tick());
    if (!this.#link.isHeld) {
      this.#endpoints.enforceClosing(this.#clock.wall(), ORPHAN_DRAIN_MS);
      if (this.#endpoints.size === 0 && this.#draining === null) this.#end(EXIT_DRAINED);
      return;
    }
    const endpoints = this.#endpoints.counters();
    const text = JSON.stringify(endpoints);
    if (text === this.#lastCounters) return;
    this.#lastCounters = text;
    this.#emit({ type: 'counters', endpoints });
  }

  #orphaned(): void {
    if (this.#draining !== null) return;
    // Nothing is served that would be worth staying for.
    if (this.#session === null || this.#config === null || this.#endpoints.size === 0)
      this.#end(EXIT_DRAINED);
    this.#cancelGrace?.();
    this.#cancelGrace = this.#clock.after(this.#config.graceMs, () => this.#drain(ORPHAN_DRAIN_MS));
  }

  #drain(deadlineMs: number): void {
    this.#draining ??= this.#drainAndEnd(deadlineMs);
  }

  async #drainAndEnd(deadlineMs: number): Promise<void> {
    const startedAtMs = this.#clock.now();
    const cut = await this.#endpoints.drainAll(deadlineMs);
    this.#emit({ type: 'drained', tookMs: Math.round(this.#clock.now() - startedAtMs), cut });
    await this.#link.flushed();
    this.#clock.after(LINGER_MS, () => this.#end(EXIT_DRAINED));
  }
}
