import { Agent, type AgentOptions, type ClientRequest, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import type { EdgeEndpoint } from '../contract.ts';
import type { Ends } from './address.ts';
import type { StreamOpener } from './stream-opener.ts';

/** Each idle stream takes one of the session's few hundred places. */
const MOST_IDLE = 64;
/** Shorter than common keep-alive time-outs of upstreams, which end the stream at a bad moment. */
const IDLE_MS = 4_000;

/** Request options with the visitor for whom a stream may have to be opened. */
export type AgentRequest = ClientRequestArgs & { readonly ends: Ends };

/** The part of `net.Socket` that Node's HTTP client asks of a stream and that a proxy stream has no use for. */
const socketFace = (stream: Duplex): Duplex =>
  Object.assign(stream, {
    setKeepAlive: () => stream,
    setNoDelay: () => stream,
    setTimeout: () => stream,
    ref: () => stream,
    unref: () => stream,
    destroySoon: () => {
      if (stream.writableFinished) stream.destroy();
      else stream.once('finish', () => stream.destroy());
      if (!stream.writableEnded) stream.end();
    },
  });

/** Keeps idle proxy streams of one endpoint for the next request. */
export class AgentPool extends Agent {
  readonly #endpoint: EdgeEndpoint;
  readonly #proxyProto: 0 | 1 | 2;
  readonly #opener: StreamOpener;
  readonly #clock: Clock;
  /** Streams that no request uses, with what ends their time. */
  readonly #idle = new Map<Duplex, () => void>();
  #isGone: boolean = false;

  constructor(
    endpoint: EdgeEndpoint,
    proxyProto: 0 | 1 | 2,
    opener: StreamOpener,
    clock: Clock,
    options: AgentOptions,
  ) {
    super({ maxFreeSockets: MOST_IDLE, scheduling: 'lifo', ...options });
    this.#endpoint = endpoint;
    this.#proxyProto = proxyProto;
    this.#opener = opener;
    this.#clock = clock;
  }

  /** All streams lead to the one endpoint, whatever host a request names. */
  override getName(): string {
    return 'agent';
  }

  override createConnection(
    options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const { ends } = options as AgentRequest;
    const opening = { proxyProto: this.#proxyProto, passthroughTls: false };
    this.#opener.open(this.#endpoint, ends, opening).then(
      (stream) => {
        stream.on('error', () => stream.destroy());
        stream.on('end', () => this.#end(stream));
        stream.on('close', () => this.#taken(stream));
        callback?.(null, socketFace(stream));
      },
      (error: Error) => callback?.(error, undefined as never),
    );
    return undefined;
  }

  override keepSocketAlive(stream: Duplex): boolean {
    if (this.#isGone || stream.readableEnded || stream.destroyed) return false;
    if (this.#opener.isShort(this.#endpoint.sessionId)) return false;
    this.#idle.set(
      stream,
      this.#clock.after(IDLE_MS, () => this.#end(stream)),
    );
    return true;
  }

  override reuseSocket(stream: Duplex, request: ClientRequest): void {
    super.reuseSocket(stream, request);
    this.#taken(stream);
  }

  /** Ends idle streams now, and those in use when their request is done. */
  retire(): void {
    this.#isGone = true;
    this.endIdle();
  }

  /** Ends idle streams, to make room on the session. */
  endIdle(): void {
    for (const stream of [...this.#idle.keys()]) this.#end(stream);
  }

  #taken(stream: Duplex): void {
    this.#idle.get(stream)?.();
    this.#idle.delete(stream);
  }

  /** Ends an idle stream and sees to it that no request is given it in the meantime. */
  #end(stream: Duplex): void {
    if (!this.#idle.has(stream)) return;
    this.#taken(stream);
    stream.destroy();
    stream.emit('agentRemove');
  }
}
