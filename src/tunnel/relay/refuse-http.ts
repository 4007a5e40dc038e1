import type { Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import type { EndpointCounts } from './endpoint-counts.ts';
import type { HttpTracker } from './http-tracker.ts';

/** How long a visitor may take to send its request before it is answered all the same. */
const REQUEST_DEADLINE_MS = 5_000;
/** How long to go on reading after the answer, so that a reset does not overtake it. */
const LINGER_MS = 2_000;
/** Longer requests are answered before they are read whole. */
const MAX_REQUEST_BYTES = 1_048_576;

export interface RefuseHttpOptions {
  /** Body of the answer, one line. */
  readonly text: string;
  readonly tracker: HttpTracker;
  readonly counts: EndpointCounts;
  readonly clock: Clock;
}

/** Reads the visitor's request, answers 502 with a short text, and ends the connection. */
export const refuseHttp = (visitor: Socket, { text, tracker, counts, clock }: RefuseHttpOptions): void => {
  let isAnswered = false;
  let isHead: boolean | null = null;
  let bytes = 0;
  let hasRequest = false;

  const answer = (): void => {
    if (isAnswered || visitor.destroyed) return;
    isAnswered = true;
    cancel();
    const body = `${text}\n`;
    const reply = Buffer.from(
      `HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n${isHead ? '' : body}`,
    );
    counts.response(502, null);
    counts.bytesOut(reply.length);
    visitor.end(reply);
    const cancelLinger = clock.after(LINGER_MS, () => visitor.destroy());
    visitor.once('close', cancelLinger);
  };

  const cancel = clock.after(REQUEST_DEADLINE_MS, () => (hasRequest ? answer() : visitor.destroy()));
  visitor.once('close', cancel);
  visitor.on('data', (chunk: Buffer) => {
    counts.bytesIn(chunk.length);
    if (isAnswered) return;
    isHead ??= chunk.subarray(0, 5).toString('latin1') === 'HEAD ';
    hasRequest = true;
    bytes += chunk.length;
    tracker.toUpstream(chunk, clock.now());
    if (tracker.isRequestComplete || tracker.isBlind || bytes > MAX_REQUEST_BYTES) answer();
  });
  visitor.on('end', () => (hasRequest ? answer() : visitor.destroy()));
  visitor.resume();
};
