import type { Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import type { Proto } from '../../core/endpoint.ts';
import type { CutStreams } from '../../core/tunnel-event.ts';
import type { BufferPool } from './buffer-pool.ts';
import { type ConnectionNotes, clientOf } from './connection-notes.ts';
import type { Dialled, DialOptions } from './dial.ts';
import type { EndpointCounts } from './endpoint-counts.ts';
import { createHttpTracker, type HttpSink } from './http-tracker.ts';
import { refuseHttp } from './refuse-http.ts';

/** An http connection without a request under way is closed after so long without a byte. */
const IDLE_HTTP_MS = 120_000;
/**
 * A stream of which one side has ended is closed after so long without a byte. A visitor who left for good looks like
 * one who only has nothing more to say: the SDK passes on no more than an end.
 */
const VISITOR_ENDED_MS = 30_000;
const UPSTREAM_ENDED_MS = 60_000;
/** At the limit, such a stream makes room for a new one sooner. */
const SPARE_AFTER_MS = 2_000;
/** A request that neither gets nor sends a byte for so long belongs to a visitor who left without a word. */
const STALLED_HTTP_MS = 900_000;

/** One visitor's connection and the upstream's, joined. */
export interface RelayStream {
  readonly kind: CutStreams['kind'];
  isInFlight(nowMs: number): boolean;
  /** True when nobody would miss it: an idle keep-alive connection, or one whose visitor ended and that fell silent. */
  isSpare(nowMs: number): boolean;
  /** Monotonic time of the last byte in either direction. */
  readonly lastByteAtMs: number;
  /** Closes it when its rules say that nobody is there any more. */
  sweep(nowMs: number): void;
  /** Ends both directions after what was sent already. */
  end(): void;
  destroy(): void;
}

export interface RelayStreamOptions {
  readonly proto: Proto;
  readonly clock: Clock;
  readonly counts: EndpointCounts;
  /** Told of this connection; null where nobody asked for that. */
  readonly notes: ConnectionNotes | null;
  readonly buffers: BufferPool;
  readonly dial: (options: Pick<DialOptions, 'onread' | 'signal'>) => Promise<Dialled>;
  /** Text of the answer that an http visitor gets when the upstream cannot be had. */
  readonly refusal: (dialled: Extract<Dialled, { ok: false }>) => string;
  readonly onClosed: () => void;
}

/** Joins an accepted, paused `visitor` to the upstream. */
export const createRelayStream = (visitor: Socket, options: RelayStreamOptions): RelayStream => {
  const { proto, clock, counts, notes, buffers } = options;
  const beganAtMs = clock.now();
  let client: string | null = null;
  let isToldOpen = false;
  let bytesIn = 0;
  let bytesOut = 0;
  const tellOpen = (): void => {
    if (isToldOpen) return;
    isToldOpen = true;
    notes?.add({ what: 'opened', client });
  };
  /** Who comes over http is known from the first request on. */
  const sink: HttpSink = {
    request(head) {
      counts.request(head);
      if (isToldOpen) return;
      client = clientOf(head);
      tellOpen();
    },
    response: counts.response,
  };
  const tracker = proto === 'http' ? createHttpTracker(notes === null ? counts : sink) : null;
  if (proto !== 'http') tellOpen();
  const aborter = new AbortController();
  let upstream: Socket | null = null;
  let lent: Buffer | null = null;
  let lastByteAtMs = clock.now();
  let visitorEnded = false;
  let upstreamEnded = false;
  let isRefusing = false;
  let openSockets = 1;

  const destroy = (): void => {
    aborter.abort();
    visitor.destroy();
    upstream?.destroy();
  };
  const socketClosed = (): void => {
    openSockets -= 1;
    if (openSockets > 0) return;
    // Only now does no read and no write use the buffer.
    if (lent !== null) buffers.give(lent);
    lent = null;
    tellOpen();
    notes?.add({
      what: 'closed',
      client,
      bytesIn,
      bytesOut,
      tookMs: Math.round(clock.now() - beganAtMs),
    });
    options.onClosed();
  };

  const fromVisitor = (chunk: Buffer): void => {
    lastByteAtMs = clock.now();
    counts.bytesIn(chunk.length);
    bytesIn += chunk.length;
    tracker?.toUpstream(chunk, lastByteAtMs);
    if (upstream !== null && !upstream.write(chunk)) visitor.pause();
  };
  const fromUpstream = (chunk: Buffer): void => {
    lastByteAtMs = clock.now();
    counts.bytesOut(chunk.length);
    bytesOut += chunk.length;
    tracker?.toVisitor(chunk, lastByteAtMs);
  };

  /** Reads into one lent buffer: the next read waits until the last one was written. */
  const onread = (): { buffer: Buffer; callback: (bytes: number, buffer: Uint8Array) => boolean } => {
    lent ??= buffers.take();
    return {
      buffer: lent,
      callback: (bytes, buffer) => {
        const chunk = Buffer.from(buffer.buffer, buffer.byteOffset, bytes);
        fromUpstream(chunk);
        visitor.write(chunk, () => {
          if (visitor.writableLength === 0) upstream?.resume();
        });
        return visitor.writableLength === 0;
      },
    };
  };

  const join = (socket: Socket): void => {
    upstream = socket;
    openSockets += 1;
    socket.once('close', socketClosed);
    socket.on('error', destroy);
    socket.on('end', () => {
      upstreamEnded = true;
      lastByteAtMs = clock.now();
      tracker?.upstreamEnded();
      visitor.end();
    });
    socket.on('drain', () => visitor.resume());
    if (lent === null) {
      socket.on('data', (chunk: Buffer) => {
        fromUpstream(chunk);
        if (!visitor.write(chunk)) socket.pause();
      });
      visitor.on('drain', () => socket.resume());
    } else socket.resume();
    visitor.on('end', () => {
      visitorEnded = true;
      lastByteAtMs = clock.now();
      socket.end();
    });
    visitor.on('data', fromVisitor);
    visitor.resume();
  };

  visitor.once('close', socketClosed);
  visitor.on('error', destroy);
  void options.dial({ onread, signal: aborter.signal }).then((dialled) => {
    if (visitor.destroyed) {
      if (dialled.ok) dialled.socket.on('error', () => undefined).destroy();
    } else if (dialled.ok) join(dialled.socket);
    else if (tracker !== null) {
      isRefusing = true;
      refuseHttp(visitor, { text: options.refusal(dialled), tracker, counts, clock });
    } else destroy();
  });

  const isInFlight = (nowMs: number): boolean => {
    if (tracker === null || isRefusing) return true;
    return tracker.isInFlight(nowMs) || visitor.writableLength > 0;
  };

  return {
    get kind() {
      if (proto !== 'http') return proto;
      return tracker?.isUpgraded ? 'websocket' : 'http';
    },
    isInFlight,
    isSpare: (nowMs) => !isInFlight(nowMs) || (visitorEnded && nowMs - lastByteAtMs > SPARE_AFTER_MS),
    get lastByteAtMs() {
      return lastByteAtMs;
    },
    sweep(nowMs) {
      const quietMs = nowMs - lastByteAtMs;
      if (visitorEnded && quietMs > VISITOR_ENDED_MS) destroy();
      else if (upstreamEnded && quietMs > UPSTREAM_ENDED_MS) destroy();
      else if (tracker === null || tracker.isUpgraded) return;
      else if (!isInFlight(nowMs) && quietMs > IDLE_HTTP_MS) destroy();
      else if (quietMs > STALLED_HTTP_MS) destroy();
    },
    end() {
      visitor.end();
      upstream?.end();
    },
    destroy,
  };
};
