import { readFileSync, rmSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Clock } from '../../core/clock.ts';
import type { BindSpec, EndpointCounters } from '../../core/endpoint.ts';
import { type Fault, fault } from '../../core/errors.ts';
import type { CutStreams } from '../../core/tunnel-event.ts';
import type { StreamBudget } from './budget.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { ConnectionNotes } from './connection-notes.ts';
import { CONNECT_DEADLINE_MS, type Dialled, type DialOptions, dialUpstream } from './dial.ts';
import { isDescriptorError } from './dial-faults.ts';
import { createEndpointCounts } from './endpoint-counts.ts';
import { createRelayStream, type RelayStream } from './relay-stream.ts';

/** While an upstream is in fault it is dialled so often, so that its return is noticed without a visitor. */
const RECHECK_MS = 5_000;

/** The relay of one endpoint: a unix socket that the SDK forwards to, and a connection to the upstream for each of its own. */
export interface EndpointRelay {
  /** Resolves when the socket listens; rejects when it cannot. */
  listen(): Promise<void>;
  counters(): EndpointCounters;
  /** Streams that still owe or get bytes, by kind. Empty when the endpoint can end without cutting anybody. */
  inFlight(): readonly CutStreams[];
  readonly open: number;
  /** Milliseconds since the last byte in either direction; since the start when none passed. */
  quietMs(): number;
  /** Ends connections without a request under way, after what was sent already. */
  endIdle(): void;
  /** Closes the connection that nobody would miss and that was silent longest; true when there was one. */
  evictIdle(): boolean;
  /** Called from time to time: closes streams that nobody holds any more, looks after a faulty upstream. */
  sweep(): void;
  /** Puts a standing upstream fault out again for a new supervisor. */
  repeat(): void;
  /** Remote `address:port` of connections to the upstream, those being made included. */
  remotes(): readonly string[];
  /** Takes no more connections and cuts those that are left. */
  close(): void;
}

export interface EndpointRelayOptions {
  readonly spec: BindSpec;
  readonly path: string;
  readonly clock: Clock;
  readonly buffers: BufferPool;
  readonly budget: StreamBudget;
  /** Closes an idle stream anywhere in the process; true when there was one. */
  readonly makeRoom: () => boolean;
  readonly onUpstream: (fault: Fault | null) => void;
  /** Told of each connection; null where nobody asked for that. */
  readonly notes: ConnectionNotes | null;
}

/** Makes the relay of one endpoint. */
export const createEndpointRelay = (options: EndpointRelayOptions): EndpointRelay => {
  const { spec, path, clock, budget } = options;
  const counts = createEndpointCounts(() => clock.wall());
  const streams = new Set<RelayStream>();
  const remotes = new Map<Socket, string>();
  let upstreamFault: Fault | null = null;
  let context: SecureContext | undefined;
  let lastCheckAtMs = clock.now();
  let isChecking = false;
  let lastByteAtMs = clock.now();
  let isClosed = false;

  const judge = (next: Fault | null): void => {
    if (next?.message === upstreamFault?.message) return;
    upstreamFault = next;
    if (!isClosed) options.onUpstream(next);
  };

  /** Trust for a TLS upstream; a file that was replaced is read at the next try after a failure. */
  const trust = (): SecureContext | undefined => {
    const { tls } = spec.upstream;
    if (tls === undefined) return undefined;
    context ??= createSecureContext(tls.caFile ? { ca: readFileSync(tls.caFile) } : {});
    return context;
  };

  const dial = async (part: Pick<DialOptions, 'onread' | 'signal'>): Promise<Dialled> => {
    let secureContext: SecureContext | undefined;
    try {
      secureContext = trust();
    } catch {
      const problem = fault(
        'UPSTREAM_TLS',
        `The caFile of upstream ${spec.upstream.ref} cannot be read or holds no certificate.`,
        true,
      );
      judge(problem);
      return { ok: false, fault: problem, isExhausted: false };
    }
    const dialled = await dialUpstream(spec.upstream, {
      clock,
      deadlineMs: CONNECT_DEADLINE_MS,
      isHttp: spec.proto === 'http',
      ...(secureContext === undefined ? {} : { secureContext }),
      onSocket: (socket, remote) => {
        remotes.set(socket, remote);
        socket.once('close', () => remotes.delete(socket));
      },
      ...part,
    });
    if (dialled.ok) judge(null);
    else if (dialled.isExhausted) budget.exhausted();
    else if (dialled.fault.code !== 'CANCELLED') {
      context = undefined;
      judge(dialled.fault);
    }
    return dialled;
  };

  const accept = (visitor: Socket): void => {
    const isRoomMade = budget.isFull && options.makeRoom();
    if (isClosed || !budget.admit(isRoomMade)) {
      counts.refused();
      options.notes?.add({ what: 'refused', client: null });
      visitor.on('error', () => undefined);
      visitor.destroy();
      return;
    }
    counts.connection();
    const stream = createRelayStream(visitor, {
      proto: spec.proto,
      clock,
      counts,
      notes: options.notes,
      buffers: options.buffers,
      async dial(part) {
        const dialled = await dial(part);
        if (dialled.ok) return dialled;
        if (dialled.isExhausted) counts.refused();
        else if (dialled.fault.code !== 'CANCELLED') counts.upstreamFailure();
        return dialled;
      },
      refusal: ({ fault: { code }, isExhausted }) => {
        if (isExhausted) return `Endpoint ${spec.name}: too many connections on this device.`;
        return code === 'UPSTREAM_TLS'
          ? `Endpoint ${spec.name}: the certificate of its upstream is not accepted.`
          : `Endpoint ${spec.name}: its upstream does not answer.`;
      },
      onClosed: () => {
        lastByteAtMs = Math.max(lastByteAtMs, stream.lastByteAtMs);
        streams.delete(stream);
        budget.release();
      },
    });
    streams.add(stream);
  };

  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, accept);

  const recheck = async (): Promise<void> => {
    isChecking = true;
    lastCheckAtMs = clock.now();
    const dialled = await dial({ signal: AbortSignal.timeout(CONNECT_DEADLINE_MS) });
    if (dialled.ok) dialled.socket.on('error', () => undefined).destroy();
    isChecking = false;
  };

  const countInFlight = (): Map<CutStreams['kind'], number> => {
    const now = clock.now();
    const byKind = new Map<CutStreams['kind'], number>();
    for (const stream of streams) {
      if (stream.isInFlight(now)) byKind.set(stream.kind, (byKind.get(stream.kind) ?? 0) + 1);
    }
    return byKind;
  };

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        rmSync(path, { force: true });
        server.once('error', reject);
        server.listen({ path, backlog: 511 }, () => {
          server.removeListener('error', reject);
          server.on('error', (error) => {
            if (isDescriptorError(error)) budget.exhausted();
            counts.refused();
          });
          chmod(path, 0o600).then(resolve, reject);
        });
      }),
    counters() {
      let inFlight = 0;
      for (const count of countInFlight().values()) inFlight += count;
      return counts.snapshot({ open: streams.size, inFlight });
    },
    inFlight: () => [...countInFlight()].map(([kind, count]) => ({ endpoint: spec.name, kind, count })),
    get open() {
      return streams.size;
    },
    quietMs() {
      for (const stream of streams) lastByteAtMs = Math.max(lastByteAtMs, stream.lastByteAtMs);
      return clock.now() - lastByteAtMs;
    },
    endIdle() {
      const now = clock.now();
      for (const stream of streams) if (!stream.isInFlight(now)) stream.end();
    },
    evictIdle() {
      const now = clock.now();
      let oldest: RelayStream | null = null;
      for (const stream of streams) {
        if (!stream.isSpare(now)) continue;
        if (oldest === null || stream.lastByteAtMs < oldest.lastByteAtMs) oldest = stream;
      }
      oldest?.destroy();
      return oldest !== null;
    },
    sweep() {
      const now = clock.now();
      for (const stream of streams) stream.sweep(now);
      if (upstreamFault !== null && !isChecking && now - lastCheckAtMs >= RECHECK_MS) void recheck();
    },
    repeat() {
      if (upstreamFault !== null) options.onUpstream(upstreamFault);
    },
    remotes: () => [...remotes.values()],
    close() {
      isClosed = true;
      server.close();
      for (const stream of streams) stream.destroy();
      rmSync(path, { force: true });
    },
  };
};
