import type { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import type { TunnelEvent, TunnelId } from '../core/tunnel-event.ts';
import { createLineChannel, type LineChannel } from './line-channel.ts';
import { type ProcessEvent, parseReply, type Reply, type RequestBody } from './messages.ts';

const ANSWER_DEADLINE_MS = 5_000;
/** Starting Node can take its time on a small device. */
const START_DEADLINE_MS = 15_000;
const PING_EVERY_MS = 5_000;
const PING_DEADLINE_MS = 10_000;
const KILL_AFTER_MS = 2_000;
/** What the process allows itself for one bind or one close, plus the time the news takes. */
const BIND_OUTCOME_MS = 17_000;
const CLOSE_OUTCOME_MS = 17_000;
/** A process whose channel is closed has so long to end by itself. */
const CLOSED_CHANNEL_MS = 2_000;

export type Answer = Extract<Reply, { readonly type: 'answer' }>;

export interface HandleOptions {
  readonly tunnel: TunnelId;
  readonly pid: number;
  readonly clock: Clock;
  readonly channel: Socket;
  /** Sends a signal to the process; does nothing once it has ended. */
  readonly signal: (signal: 'SIGTERM' | 'SIGKILL') => void;
  readonly emit: (event: TunnelEvent) => void;
  readonly log: (level: 'warn' | 'error', target: string, message: string) => void;
  /** Another supervisor took the process over. */
  readonly onReplaced: () => void;
  readonly onChannelClosed: () => void;
}

/** The supervisor's end of one tunnel process: requests with deadlines, pings, and death for a process that misses one. */
export class ProcessHandle {
  readonly tunnel: TunnelId;
  readonly pid: number;
  readonly #options: HandleOptions;
  readonly #channel: LineChannel;
  readonly #answers = new Map<number, (answer: Answer) => void>();
  /** Cancels of every deadline that runs. */
  readonly #deadlines = new Set<() => void>();
  /** Deadlines that end with an event, by what they wait for. */
  readonly #outcomes = new Map<string, () => void>();
  #nextId = 1;
  #isEnding = false;
  #isReleased = false;
  #openBinds = 0;
  #heardAt: number;

  constructor(options: HandleOptions) {
    this.#options = options;
    this.#heardAt = options.clock.now();
    this.tunnel = options.tunnel;
    this.pid = options.pid;
    this.#channel = createLineChannel(
      options.channel,
      (line) => this.#read(line),
      () => this.#closed(),
    );
  }

  /** When the process last said anything, or was started; on the monotonic clock. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Sends a request; a missed deadline ends the process. */
  request(
    body: RequestBody,
    deadlineMs: number = ANSWER_DEADLINE_MS,
    onAnswer?: (answer: Answer) => void,
  ): void {
    if (this.#isReleased) return;
    const id = this.#nextId;
    this.#nextId += 1;
    const cancel = this.#deadline(deadlineMs);
    this.#answers.set(id, (answer) => {
      cancel();
      this.#refused(body, answer);
      onAnswer?.(answer);
    });
    this.#channel.send({ id, ...body });
  }

  /** Sends the start; the first session must come about, or be given up, in time. */
  start(body: Extract<RequestBody, { type: 'start' }>): void {
    this.request(body, START_DEADLINE_MS, () => {
      this.#expect('connect', body.config.connectDeadlineMs + ANSWER_DEADLINE_MS);
      this.watch();
    });
  }

  /** Pings from now on. */
  watch(): void {
    const ping = (): void => {
      if (this.#isReleased || this.#isEnding) return;
      this.request({ type: 'ping' }, PING_DEADLINE_MS, () => {
        const cancel = this.#options.clock.after(PING_EVERY_MS, () => {
          this.#deadlines.delete(cancel);
          ping();
        });
        this.#deadlines.add(cancel);
      });
    };
    ping();
  }

  bind(body: Extract<RequestBody, { type: 'bind' }>): void {
    this.#openBinds += 1;
    this.#expect(`bind ${body.spec.name}`, BIND_OUTCOME_MS * this.#openBinds);
    this.request(body);
  }

  unbind(endpoint: string, drainMs: number): void {
    this.#expect(`unbind ${endpoint}`, drainMs + CLOSE_OUTCOME_MS);
    this.request({ type: 'unbind', endpoint, drainMs });
  }

  drain(deadlineMs: number): void {
    this.#expect('drain', deadlineMs + CLOSE_OUTCOME_MS);
    this.request({ type: 'drain', deadlineMs });
  }

  /** Ends the process at once. */
  kill(): void {
    this.#isEnding = true;
    this.#options.signal('SIGKILL');
  }

  /** Lets go of the process: no more events, no more deadlines. */
  release(): void {
    this.#isReleased = true;
    this.stop();
    this.#channel.end();
  }

  /** Cancels everything that waits; for a process that has ended. */
  stop(): void {
    for (const cancel of this.#deadlines) cancel();
    this.#deadlines.clear();
    this.#outcomes.clear();
    this.#answers.clear();
  }

  #deadline(ms: number): () => void {
    const cancelTimer = this.#options.clock.after(ms, () => {
      this.#deadlines.delete(cancelTimer);
      this.#giveUp();
    });
    this.#deadlines.add(cancelTimer);
    return () => {
      this.#deadlines.delete(cancelTimer);
      cancelTimer();
    };
  }

  #expect(what: string, ms: number): void {
    this.#outcomes.get(what)?.();
    this.#outcomes.set(what, this.#deadline(ms));
  }

  #met(what: string): void {
    this.#outcomes.get(what)?.();
    this.#outcomes.delete(what);
  }

  /** The process missed a deadline or talks garbage: it is of no use any more. */
  #giveUp(): void {
    if (this.#isEnding || this.#isReleased) return;
    this.#isEnding = true;
    this.#emit({ type: 'lost', reason: 'unresponsive' });
    this.#options.signal('SIGTERM');
    const cancel = this.#options.clock.after(KILL_AFTER_MS, () => this.#options.signal('SIGKILL'));
    this.#deadlines.add(cancel);
  }

  #emit(event: ProcessEvent): void {
    if (!this.#isReleased) this.#options.emit({ tunnel: this.tunnel, ...event });
  }

  /** A refused request still ends in the event that its caller waits for. */
  #refused(body: RequestBody, answer: Answer): void {
    if (answer.ok) return;
    if (body.type === 'bind') {
      this.#outcome({ type: 'bind-failed', endpoint: body.spec.name, fault: answer.fault });
    } else if (body.type === 'unbind') this.#outcome({ type: 'unbound', endpoint: body.endpoint, cut: [] });
    else if (body.type === 'start' || body.type === 'drain') this.#giveUp();
  }

  #outcome(event: ProcessEvent): void {
    switch (event.type) {
      case 'connected':
      case 'connect-failed':
        this.#met('connect');
        break;
      case 'bound':
      case 'bind-failed':
        this.#openBinds = Math.max(0, this.#openBinds - 1);
        this.#met(`bind ${event.endpoint}`);
        break;
      case 'closed':
        // A bind that was taken back before it was done has no outcome of its own.
        if (this.#outcomes.has(`bind ${event.endpoint}`)) this.#openBinds = Math.max(0, this.#openBinds - 1);
        this.#met(`bind ${event.endpoint}`);
        break;
      case 'unbound':
        this.#met(`unbind ${event.endpoint}`);
        break;
      default:
        break;
    }
    this.#emit(event);
  }

  #read(line: string): void {
    this.#heardAt = this.#options.clock.now();
    const reply = parseReply(line);
    if (reply === null) {
      this.#channel.destroy();
      this.#giveUp();
      return;
    }
    switch (reply.type) {
      case 'answer': {
        const answered = this.#answers.get(reply.id);
        this.#answers.delete(reply.id);
        answered?.(reply);
        return;
      }
      case 'event':
        this.#outcome(reply.event);
        return;
      case 'log':
        this.#options.log(reply.level, reply.target, reply.message);
        return;
      case 'replaced':
        this.release();
        this.#options.onReplaced();
        return;
    }
  }

  #closed(): void {
    if (!this.#isReleased) {
      const cancel = this.#options.clock.after(CLOSED_CHANNEL_MS, () => this.#giveUp());
      this.#deadlines.add(cancel);
    }
    this.#options.onChannelClosed();
  }
}
