/** The broker of the cut device: keeps what was not acknowledged, and remembers every answer it took. */
import type { InboundMessage, OutboundMessage } from '../../src/daemon/ports.ts';

export interface ToldResult {
  readonly id: string;
  readonly status: string;
  readonly dup?: boolean;
  readonly code?: string;
  readonly out?: Readonly<Record<string, unknown>>;
}

const RUNNING = new Set(['accepted', 'executing']);

export class CutBroker {
  readonly results: ToldResult[] = [];
  #unacked: InboundMessage[] = [];
  #consumer: ((message: InboundMessage) => void) | null = null;

  /** A link that takes messages from now on, or none; what was not acknowledged is sent again first. */
  consume(consumer: ((message: InboundMessage) => void) | null): void {
    this.#consumer = consumer;
    if (consumer !== null) for (const message of [...this.#unacked]) consumer(message);
  }

  send(topic: string, body: unknown): void {
    const message = { topic, payload: Buffer.from(JSON.stringify(body)), retain: false };
    this.#unacked.push(message);
    this.#consumer?.(message);
  }

  acknowledge(message: InboundMessage): void {
    this.#unacked = this.#unacked.filter((m) => m !== message);
  }

  take({ topic, payload }: OutboundMessage): void {
    if (topic.split('/')[4] === 'res') this.results.push(JSON.parse(payload) as ToldResult);
  }

  /** The ends that were told of a command, repetitions too. */
  ends(id: string): readonly ToldResult[] {
    return this.results.filter((r) => r.id === id && !RUNNING.has(r.status));
  }
}
