import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import type { EdgeEndpoint, Visitor } from '../contract.ts';
import type { Target } from './address.ts';
import type { BindRequest } from './bind-request.ts';
import type { Session } from './session.ts';
import type { EdgeSettings } from './settings.ts';
import type { MuxStream } from './stream.ts';
import { Turnstile } from './turnstile.ts';
import { encodeProxyHead } from './typed-stream.ts';

/** An endpoint cannot be reached: it was closed, or its session is gone. */
export class EndpointGone extends Error {
  override readonly name = 'EndpointGone';
  readonly code = 'ENDPOINT_GONE';
}

/** How long to wait for a sign that the agent has read the answer to its bind. */
const READ_WAIT_MS = 1_000;

export interface EndpointParts {
  readonly id: string;
  readonly token: string;
  readonly key: string;
  readonly url: string;
  readonly target: Target;
  readonly request: BindRequest;
  readonly owner: Session;
  readonly createdAtMs: number;
  readonly clock: Clock;
  readonly settings: EdgeSettings;
}

/** One bound endpoint: opens proxy streams towards its agent, never more at a time than the agent can bear. */
export class Endpoint implements EdgeEndpoint {
  readonly id: string;
  readonly token: string;
  readonly key: string;
  readonly url: string;
  readonly proto: EdgeEndpoint['proto'];
  readonly host: string;
  readonly port: number | null;
  readonly random: boolean;
  readonly binding: EdgeEndpoint['binding'];
  readonly pooled: boolean;
  readonly sessionId: string;
  readonly account: string;
  readonly metadata: string;
  readonly forwardsTo: string;
  readonly forwardsProto: string;
  readonly createdAtMs: number;
  readonly opts: EdgeEndpoint['opts'];
  requests = 0;
  readonly owner: Session;
  readonly #parts: EndpointParts;
  readonly #acceptance: Turnstile;
  /** Resolves when the agent can be expected to know its endpoint; null from then on. */
  #settling: Promise<void> | null;
  #settled: () => void = () => undefined;
  #cancelSettling: () => void = () => undefined;
  #isGone = false;
  /** Streams of which the agent has shown nothing yet; counted until it accepted the first. */
  #untaken = 0;
  #hasAccepted = false;

  constructor(parts: EndpointParts) {
    const { target, request, clock, settings } = parts;
    this.#parts = parts;
    this.id = parts.id;
    this.token = parts.token;
    this.key = parts.key;
    this.url = parts.url;
    this.proto = target.proto;
    this.host = target.host;
    this.port = target.port;
    this.random = target.random;
    this.binding = target.binding;
    this.pooled = request.pooled;
    this.owner = parts.owner;
    this.sessionId = parts.owner.id;
    this.account = parts.owner.credential.account;
    this.metadata = request.metadata;
    this.forwardsTo = request.forwardsTo;
    this.forwardsProto = request.forwardsProto;
    this.createdAtMs = parts.createdAtMs;
    this.opts = request.opts;
    this.#settling = new Promise((resolve) => {
      this.#settled = resolve;
    });
    this.#acceptance = new Turnstile({
      clock,
      hasRoom: () => this.#hasAccepted || this.#untaken < settings.untakenCap,
      queueCap: () => settings.streamQueue,
      waitMs: () => settings.streamWaitMs,
    });
  }

  /** The answer to the bind has been written. */
  answered(): void {
    const { routeDelayMs } = this.#parts.settings;
    if (routeDelayMs <= 0) this.#settle();
    else this.#settleAfter(routeDelayMs + READ_WAIT_MS);
  }

  /** The agent has read the answer to its end: from here on it needs only the moment to store its endpoint. */
  known(): void {
    if (this.#settling !== null && !this.#isGone) this.#settleAfter(this.#parts.settings.routeDelayMs);
  }

  /** No new streams from here on; those that run are left alone. */
  gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#cancelSettling();
    this.#acceptance.close(this.#goneError());
    this.#settle();
  }

  async open(visitor: Visitor): Promise<Duplex> {
    if (this.#settling !== null) await this.#settling;
    if (this.#isGone) throw this.#goneError();
    const opening = await this.#acceptance.pass(() => {
      this.#untaken += 1;
      return { stream: this.#openSlot(visitor) };
    });
    return opening.stream;
  }

  #settleAfter(ms: number): void {
    this.#cancelSettling();
    this.#cancelSettling = this.#parts.clock.after(ms, () => this.#settle());
  }

  #settle(): void {
    this.#settling = null;
    this.#settled();
  }

  async #openSlot(visitor: Visitor): Promise<Duplex> {
    try {
      return await this.owner.slots.turnstile.pass(() => {
        if (this.#isGone) throw this.#goneError();
        return this.#openStream(visitor);
      });
    } catch (error) {
      this.#accounted();
      throw error;
    }
  }

  #openStream(visitor: Visitor): MuxStream {
    const head = encodeProxyHead({
      Id: this.id,
      ClientAddr: visitor.clientAddr,
      Proto: this.proto,
      EdgeType: '0',
      PassthroughTLS: visitor.passthroughTls,
    });
    const stream = this.owner.mux.open(head);
    // A visitor who leaves does not count: the stream stays in the agent's queue until somebody accepts it.
    stream.onTaken = () => {
      this.#hasAccepted = true;
      this.#accounted();
    };
    return stream;
  }

  #accounted(): void {
    this.#untaken -= 1;
    this.#acceptance.admit();
  }

  #goneError(): EndpointGone {
    return new EndpointGone(`the endpoint ${this.url} is gone`);
  }
}
