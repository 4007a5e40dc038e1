/**
 * A tunnel process of the working model: one session with the habits of the real SDK and the deadlines of the real
 * process and its handle. It hears commands and tells events, nothing else.
 */
import type { BindSpec } from '../../src/core/endpoint.ts';
import { type Fault, fault } from '../../src/core/errors.ts';
import { classifyNgrok } from '../../src/core/ngrok-codes.ts';
import type { TunnelEvent } from '../../src/core/tunnel-event.ts';
import type { EdgeSession, ModelEdge } from './model-edge.ts';
import type { ModelTime } from './model-time.ts';

type WithoutTunnel<E> = E extends unknown ? Omit<E, 'tunnel'> : never;
type OwnEvent = WithoutTunnel<TunnelEvent>;

interface ModelEndpoint {
  readonly spec: BindSpec;
  isBound: boolean;
  isServing: boolean;
  isClosing: boolean;
}

const SETTLE_MS = 1000;
const SDK_TRIES_MS = [1, 50, 2500] as const;
const SDK_TIME_MS = 5000;
const BIND_DEADLINE_MS = 15_000;
const CLOSE_DEADLINE_MS = 10_000;

const netFault = (what: string): Fault => fault('NGROK_NET', what, true);

export const codeFault = (code: string): Fault => {
  const { code: ours, retryable } = classifyNgrok(code);
  return fault(ours, `The edge answers ${code}.`, retryable, code);
};

export interface ModelProcessOptions {
  readonly id: string;
  readonly token: string;
  readonly connectDeadlineMs: number;
  readonly time: ModelTime;
  readonly edge: ModelEdge;
  readonly emit: (event: TunnelEvent) => void;
  /** Frees a name when its listener is closed, not only when its streams have ended. */
  readonly tellsClosed: boolean;
}

export class ModelProcess {
  readonly id: string;
  readonly token: string;
  readonly endpoints = new Map<string, ModelEndpoint>();
  state: 'connecting' | 'connected' | 'wobbling' | 'lost' | 'draining' | 'dead' = 'connecting';
  session: EdgeSession | null = null;
  isKilled = false;
  isFrozen = false;
  readonly startedAt: number;
  readonly #o: ModelProcessOptions;
  readonly #cancels = new Set<() => void>();
  #queue: (() => void)[] = [];
  #isBinding = false;
  #isJudged = false;
  #held: OwnEvent[] = [];

  constructor(options: ModelProcessOptions) {
    this.#o = options;
    this.id = options.id;
    this.token = options.token;
    this.startedAt = options.time.now();
    const cancel = options.edge.onMode(() => this.#pathChanged());
    this.#cancels.add(cancel);
    this.#after(1, () => this.#emit({ type: 'started', pid: 1 }));
    this.#after(options.time.between(60, 250), () => this.#connect());
  }

  /** Visitors of `name` reach this process, by the truth of the model. */
  serves(name: string): boolean {
    const isRouted = this.session?.isOpen === true && this.session.endpoints.has(name);
    return isRouted && !this.isFrozen && this.state !== 'dead' && this.#o.edge.mode === 'up';
  }

  // what the supervisor says

  bind(spec: BindSpec): void {
    const refuse = (f: Fault): void =>
      void this.#after(1, () => this.#emit({ type: 'bind-failed', endpoint: spec.name, fault: f }));
    if (this.state === 'draining') {
      refuse(fault('CANCELLED', 'The process is ending.', true));
      return;
    }
    // Still closing, by order of a supervisor that is gone.
    if (this.endpoints.has(spec.name)) {
      refuse(fault('INTERNAL', 'It is bound already.', false));
      return;
    }
    this.endpoints.set(spec.name, { spec, isBound: false, isServing: false, isClosing: false });
    this.#queue.push(() => this.#bindNow(spec));
    this.#nextBind();
  }

  unbind(name: string, drainMs: number): void {
    const endpoint = this.endpoints.get(name);
    if (endpoint === undefined) {
      this.#after(1, () => this.#emit({ type: 'unbound', endpoint: name, cut: [] }));
      return;
    }
    if (endpoint.isClosing) return;
    endpoint.isClosing = true;
    this.#whenEdgeAnswers(CLOSE_DEADLINE_MS, (answered) => {
      this.session?.endpoints.delete(name);
      if (!answered) this.#unresponsive();
      this.endpoints.delete(name);
      if (answered && this.#o.tellsClosed) this.#emit({ type: 'closed', endpoint: name });
      this.#after(this.#drainTime(drainMs), () => {
        this.#emit({ type: 'unbound', endpoint: name, cut: [] });
      });
    });
  }

  drain(drainMs: number): void {
    if (this.state === 'draining' || this.state === 'dead') return;
    const wasConnecting = this.state === 'connecting';
    this.state = 'draining';
    if (wasConnecting) {
      this.#after(5, () => this.exit(0, null));
      return;
    }
    this.#whenEdgeAnswers(CLOSE_DEADLINE_MS, () => {
      this.session?.endpoints.clear();
      this.#after(this.#drainTime(drainMs), () => {
        this.#emit({ type: 'drained', tookMs: 1, cut: [] });
        this.#after(150, () => this.exit(0, null));
      });
    });
  }

  kill(): void {
    this.isKilled = true;
    this.isFrozen = false;
    this.#o.time.after(this.#o.time.between(2, 20), () => this.exit(null, 'SIGKILL'));
  }

  // what befalls it

  crash(): void {
    this.exit(134, null);
  }

  /** SIGSTOP: pings go unanswered, until it goes on or its handle kills it. */
  freeze(): void {
    if (this.state === 'dead' || this.isFrozen) return;
    this.isFrozen = true;
    this.#o.time.after(this.#o.time.between(10_000, 15_000), () => {
      if (!this.isFrozen || this.state === 'dead') return;
      this.#o.emit({ tunnel: this.id, type: 'lost', reason: 'unresponsive' });
      this.#o.time.after(2000, () => this.exit(null, 'SIGKILL'));
    });
  }

  thaw(): void {
    if (!this.isFrozen) return;
    this.isFrozen = false;
    const held = this.#held;
    this.#held = [];
    for (const event of held) this.#emit(event);
  }

  /** The supervisor is gone: nobody hears events now. Standing conditions are told again at the adoption. */
  repeat(): void {
    if (this.#isJudged) this.#emit({ type: 'lost', reason: 'heartbeat' });
    else if (this.state === 'wobbling') this.#emit({ type: 'disconnected' });
    else if (this.state === 'lost') this.#emit({ type: 'lost', reason: 'clock' });
  }

  /** The device lost power. */
  vanish(): void {
    if (this.session !== null) this.#o.edge.vanished(this.session);
    this.session = null;
    this.#end();
  }

  exit(code: number | null, signal: string | null): void {
    if (this.state === 'dead') return;
    if (this.session !== null) this.#o.edge.left(this.session);
    this.session = null;
    this.#end();
    this.#o.emit({ tunnel: this.id, type: 'exited', code, signal, stderr: '' });
  }

  // its own life

  #end(): void {
    this.state = 'dead';
    this.isFrozen = false;
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
  }

  #after(ms: number, fn: () => void): () => void {
    const cancel = this.#o.time.after(ms, () => {
      this.#cancels.delete(cancel);
      if (this.state === 'dead') return;
      // A stopped process does at its thaw what came due meanwhile.
      if (this.isFrozen) this.#after(500, fn);
      else fn();
    });
    this.#cancels.add(cancel);
    return cancel;
  }

  #emit(event: OwnEvent): void {
    if (this.state === 'dead') return;
    if (this.isFrozen) this.#held.push(event);
    else this.#o.emit({ tunnel: this.id, ...event } as TunnelEvent);
  }

  /** A drain mostly takes a moment, sometimes as long as it may. */
  #drainTime(drainMs: number): number {
    return this.#o.time.random() < 0.1 ? drainMs : this.#o.time.between(250, 2500);
  }

  /** Calls back when an RPC on the session is through, or with false when its deadline is. */
  #whenEdgeAnswers(deadlineMs: number, done: (answered: boolean) => void): void {
    const { edge, time } = this.#o;
    let isDone = false;
    const finish = (answered: boolean): void => {
      if (isDone) return;
      isDone = true;
      stop();
      done(answered);
    };
    const tryNow = (): void => {
      if (edge.mode === 'up' && this.session?.isOpen === true)
        this.#after(time.between(5, 50), () => {
          if (edge.mode === 'up' && this.session?.isOpen === true) finish(true);
        });
    };
    const stop = edge.onMode(tryNow);
    this.#cancels.add(stop);
    this.#after(deadlineMs, () => finish(false));
    tryNow();
  }

  #connect(): void {
    const { edge, connectDeadlineMs } = this.#o;
    let isOver = false;
    const fail = (f: Fault): void => {
      if (isOver) return;
      isOver = true;
      this.#emit({ type: 'connect-failed', fault: f });
      this.#after(15, () => this.exit(69, null));
    };
    this.#after(connectDeadlineMs, () => fail(netFault('No answer in time.')));
    const through = (): void => {
      if (isOver) return;
      if (edge.mode !== 'up') return;
      const answer = edge.open(this.token, this.id);
      if (typeof answer === 'string') {
        fail(codeFault(answer));
        return;
      }
      isOver = true;
      this.#hold(answer);
      if (this.state === 'connecting') this.state = 'connected';
      this.#emit({ type: 'connected', sessionId: this.id, tookMs: 50 });
    };
    const attempt = (): void => {
      if (isOver) return;
      if (edge.mode === 'closed') fail(netFault('The port is closed.'));
      else if (edge.mode === 'up') {
        // A handshake under way hangs for good when the path dies under it.
        let isBroken = false;
        const stop = edge.onMode((mode) => {
          isBroken = true;
          if (mode === 'closed') fail(netFault('The connection was reset.'));
        });
        this.#cancels.add(stop);
        this.#after(this.#o.time.between(20, 90) + edge.authMs, () => {
          stop();
          if (!isBroken) through();
        });
      } else if (edge.mode !== 'middlebox') {
        // TCP sends its SYN again after 1, 2 and 4 s; a middlebox has taken it, and the handshake hangs for good.
        const waits = [1000, 2000, 4000, 8000];
        const again = (): void => {
          const wait = waits.shift();
          if (wait !== undefined)
            this.#after(wait, () => (edge.mode === 'dead' || edge.mode === 'frozen' ? again() : attempt()));
        };
        again();
      }
    };
    attempt();
  }

  #hold(session: EdgeSession): void {
    this.session = session;
    session.onCut = () => this.#after(1, () => this.#wobble());
  }

  #pathChanged(): void {
    const { edge } = this.#o;
    if (edge.mode === 'up') {
      if (this.session?.isForgotten === true) this.#after(20, () => this.#wobble());
      return;
    }
    if (edge.mode === 'closed' || this.state !== 'connected') return;
    // No beats: so the watch of the real process judges, between its second missing answer and its own silence.
    const { session } = this;
    const stop = edge.onMode(() => {
      if (edge.mode === 'up') cancel();
    });
    this.#cancels.add(stop);
    const cancel = this.#after(this.#o.time.between(30_000, 40_000), () => {
      stop();
      if (this.state !== 'connected' || this.session !== session || this.#isJudged) return;
      // The watch has given its verdict and says no more, whatever becomes of the connection.
      this.#isJudged = true;
      this.#emit({ type: 'lost', reason: 'heartbeat' });
    });
  }

  #wobble(): void {
    if (this.state !== 'connected') return;
    this.state = 'wobbling';
    if (!this.#isJudged) this.#emit({ type: 'disconnected' });
    for (const ms of SDK_TRIES_MS) this.#after(ms, () => this.#redial());
    this.#after(SDK_TIME_MS, () => {
      if (this.state !== 'wobbling') return;
      this.state = 'lost';
      if (!this.#isJudged) this.#emit({ type: 'lost', reason: 'clock' });
    });
  }

  /** The SDK's own try; one refused rebind takes the whole session down again. */
  #redial(): void {
    const { edge } = this.#o;
    if (this.state !== 'wobbling' || edge.mode !== 'up' || this.session?.isOpen === true) return;
    const session = edge.open(this.token, this.id);
    if (typeof session === 'string') return;
    this.#hold(session);
    for (const endpoint of this.endpoints.values())
      if (endpoint.isBound && !endpoint.isClosing && edge.bind(session, endpoint.spec) !== '') {
        edge.left(session);
        return;
      }
    this.#after(SETTLE_MS, () => {
      if (this.state !== 'wobbling' || !session.isOpen) return;
      this.state = 'connected';
      if (!this.#isJudged) this.#emit({ type: 'reconnected' });
      for (const name of this.endpoints.keys()) this.#settle(name);
    });
  }

  #nextBind(): void {
    if (this.#isBinding) return;
    const next = this.#queue.shift();
    if (next === undefined) return;
    this.#isBinding = true;
    next();
  }

  #bindNow(spec: BindSpec): void {
    const endpoint = this.endpoints.get(spec.name);
    const finish = (): void => {
      this.#isBinding = false;
      this.#nextBind();
    };
    if (endpoint === undefined || endpoint.spec !== spec || endpoint.isClosing) {
      finish();
      return;
    }
    const refuse = (f: Fault): void => {
      this.endpoints.delete(spec.name);
      this.#emit({ type: 'bind-failed', endpoint: spec.name, fault: f });
    };
    this.#whenEdgeAnswers(BIND_DEADLINE_MS, (answered) => {
      const { session } = this;
      if (!answered || session === null) {
        refuse(netFault('The bind got no answer in time.'));
        this.#unresponsive();
        return;
      }
      const code = this.#o.edge.bind(session, spec);
      if (code !== '') refuse(codeFault(code));
      else if (endpoint.isClosing) session.endpoints.delete(spec.name);
      else {
        endpoint.isBound = true;
        this.#emit({ type: 'bound', endpoint: spec.name, url: spec.url, endpointId: `ep-${spec.name}` });
        this.#settle(spec.name);
      }
      finish();
    });
  }

  #settle(name: string): void {
    this.#after(SETTLE_MS, () => {
      const endpoint = this.endpoints.get(name);
      if (endpoint === undefined || endpoint.isServing || endpoint.isClosing || !endpoint.isBound) return;
      if (this.state !== 'connected' || this.#o.edge.mode !== 'up') {
        if (this.state === 'connected') this.#settle(name);
        return;
      }
      endpoint.isServing = true;
      this.#emit({ type: 'serving', endpoint: name });
    });
  }

  #unresponsive(): void {
    if (this.state === 'draining' || this.state === 'lost') return;
    this.state = 'lost';
    if (!this.#isJudged) this.#emit({ type: 'lost', reason: 'unresponsive' });
  }
}
