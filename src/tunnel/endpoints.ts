import { basename } from 'node:path';
import type { Listener, Session } from '@ngrok/ngrok';
import { type Clock, sleep } from '../core/clock.ts';
import type { BindSpec, EndpointCounters } from '../core/endpoint.ts';
import { fault, type Result } from '../core/errors.ts';
import type { CutStreams, TunnelId } from '../core/tunnel-event.ts';
import { bindEndpoint, checkDirect, directUrl, publicAddress } from './bind-endpoint.ts';
import { DRAIN_LOOK_MS, drainStreams } from './drain-streams.ts';
import type { ProcessEvent, Snapshot } from './messages.ts';
import type { EndpointRelay } from './relay/endpoint-relay.ts';
import { createRelays } from './relay/relays.ts';
import { relayPath } from './run-dir.ts';
import { sdkFault } from './sdk-errors.ts';
import { within } from './within.ts';

const BIND_DEADLINE_MS = 15_000;
const CLOSE_DEADLINE_MS = 10_000;
/** The SDK drops connections that arrive in the milliseconds after a bind answer. */
const SETTLE_MS = 1_000;

interface Endpoint {
  spec: BindSpec;
  readonly relay: EndpointRelay | null;
  listener: Listener | null;
  url: string;
  endpointId: string;
  /** Monotonic milliseconds of the bind answer. */
  boundAt: number;
  isServing: boolean;
  isClosing: boolean;
}

export interface EndpointsOptions {
  readonly tunnel: TunnelId;
  readonly runDir: string;
  readonly clock: Clock;
  readonly emit: (event: ProcessEvent) => void;
  /** Whether relays made from now on tell of single connections. */
  readonly tellConnections: () => boolean;
  readonly hasBeat: () => boolean;
  /** An SDK call did not end in time. */
  readonly onUnresponsive: () => void;
}

/** The endpoints of one tunnel process. */
export interface Endpoints {
  /** Binds after every bind asked for before it; the outcome is an event. */
  bind(session: Session, spec: BindSpec): void;
  /** Closes the listener (`closed`), drains its streams up to `drainMs`, then `unbound`. Unknown or closing: nothing. */
  unbind(name: string, drainMs: number): Promise<void>;
  has(name: string): boolean;
  setClosesAt(name: string, closesAtMs: number | null): void;
  /** Takes down every endpoint and resolves with the streams that the deadline cut. */
  drainAll(deadlineMs: number): Promise<readonly CutStreams[]>;
  /** Unbinds what should have been closed by `wallMs`; only for a life without supervisor. */
  enforceClosing(wallMs: number, drainMs: number): void;
  /** A heartbeat came: endpoints that settled before it are serving now. */
  beat(): void;
  /** The SDK could not dial one of the relays' sockets, or an unmetered upstream. */
  dialFailed(): void;
  counters(): Readonly<Record<string, EndpointCounters>>;
  snapshot(): Snapshot['endpoints'];
  /** Remote addresses of the relays' connections, for those who look at sockets. */
  remotes(): readonly string[];
  repeat(): void;
  /** Endpoints bound, being bound or draining. */
  readonly size: number;
}

/** Makes the set of endpoints, empty. */
export const createEndpoints = (options: EndpointsOptions): Endpoints => {
  const { clock, emit } = options;
  const endpoints = new Map<string, Endpoint>();
  /** Those taken down whose streams still drain; their name may be bound anew. */
  const draining = new Set<Endpoint>();
  let serial = 0;
  let isEnding = false;
  let queue: Promise<void> = Promise.resolve();

  const allRelays = (): EndpointRelay[] =>
    [...endpoints.values(), ...draining].flatMap(({ relay }) => (relay === null ? [] : [relay]));

  const relays = createRelays({ clock, emit, tellConnections: options.tellConnections, all: allRelays });

  const refuse = (spec: BindSpec, result: Extract<Result<never>, { ok: false }>): void =>
    emit({ type: 'bind-failed', endpoint: spec.name, fault: result.fault });

  const serveWhenSettled = (endpoint: Endpoint): void => {
    const isCurrent = endpoints.get(endpoint.spec.name) === endpoint && !endpoint.isClosing;
    if (!isCurrent || endpoint.isServing || !options.hasBeat()) return;
    endpoint.isServing = true;
    emit({ type: 'serving', endpoint: endpoint.spec.name });
  };

  /** `join()` rejects when the edge ends the endpoint; of our own close it resolves. */
  const watchStop = async (endpoint: Endpoint, listener: Listener): Promise<void> => {
    let stopped = fault('NGROK_NET', 'The listener of the endpoint ended by itself.', true);
    try {
      await listener.join();
    } catch (error) {
      stopped = sdkFault(error, 'stopped');
    }
    const { name } = endpoint.spec;
    if (endpoint.isClosing || endpoints.get(name) !== endpoint) return;
    endpoint.isClosing = true;
    endpoints.delete(name);
    emit({ type: 'endpoint-stopped', endpoint: name, fault: stopped });
    await drainOne(endpoint, CLOSE_DEADLINE_MS);
  };

  const open = async (session: Session, spec: BindSpec): Promise<void> => {
    const { name } = spec;
    if (isEnding) {
      refuse(spec, { ok: false, fault: fault('CANCELLED', 'The tunnel process is ending.', true) });
      return;
    }
    if (endpoints.has(name)) {
      refuse(spec, { ok: false, fault: fault('INTERNAL', `Endpoint ${name} is bound already.`, false) });
      return;
    }
    const place = publicAddress(spec);
    if (!place.ok) {
      refuse(spec, place);
      return;
    }
    const isDirect = spec.metering === 'off';
    const direct = isDirect ? checkDirect(spec) : null;
    if (direct !== null) {
      refuse(spec, { ok: false, fault: direct });
      return;
    }
    serial += 1;
    const path = relayPath(options.runDir, options.tunnel, serial, name);
    const relay = isDirect ? null : relays.make(spec, path);
    const endpoint: Endpoint = {
      spec,
      relay,
      listener: null,
      url: '',
      endpointId: '',
      boundAt: 0,
      isServing: false,
      isClosing: false,
    };
    try {
      await relay?.listen();
    } catch {
      refuse(spec, {
        ok: false,
        fault: fault('INTERNAL', `Endpoint ${name}: its relay cannot listen.`, true),
      });
      return;
    }
    endpoints.set(name, endpoint);
    const giveUp = (result: Extract<Result<never>, { ok: false }>): void => {
      if (endpoints.get(name) === endpoint) endpoints.delete(name);
      relay?.close();
      if (!endpoint.isClosing) refuse(spec, result);
    };
    // The SDK tells the edge where it forwards to: a bare name, seen from the working folder, says nothing of this device.
    let binding: Promise<Listener>;
    try {
      binding = bindEndpoint(session, spec, isDirect ? directUrl(spec) : `unix:${basename(path)}`);
    } catch (error) {
      giveUp({ ok: false, fault: sdkFault(error, 'bind') });
      return;
    }
    const outcome = await within(clock, BIND_DEADLINE_MS, binding);
    if (outcome.kind === 'rejected') {
      giveUp({ ok: false, fault: sdkFault(outcome.error, 'bind') });
      return;
    }
    if (outcome.kind === 'expired') {
      // A late success must not leave an endpoint that nobody knows of.
      binding.then((late) => late.close()).catch(() => undefined);
      giveUp({
        ok: false,
        fault: fault('NGROK_NET', `The edge did not answer the bind of endpoint ${name} in time.`, true),
      });
      options.onUnresponsive();
      return;
    }
    const listener = outcome.value;
    endpoint.listener = listener;
    endpoint.boundAt = clock.now();
    endpoint.url = listener.url() ?? '';
    endpoint.endpointId = listener.id();
    if (endpoint.isClosing) {
      await listener.close().catch(() => undefined);
      return;
    }
    emit({ type: 'bound', endpoint: name, url: endpoint.url, endpointId: endpoint.endpointId });
    watchStop(endpoint, listener).catch(() => undefined);
    clock.after(SETTLE_MS, () => serveWhenSettled(endpoint));
  };

  const closeListener = async (endpoint: Endpoint, drainMs: number): Promise<void> => {
    if (endpoint.listener === null) return;
    // Visitors who came with the bind answer are not with the relay yet: a close at once would cost them their answer.
    const settledInMs = Math.min(endpoint.boundAt + SETTLE_MS - clock.now(), drainMs);
    if (settledInMs > 0) await sleep(clock, settledInMs);
    const outcome = await within(clock, CLOSE_DEADLINE_MS, endpoint.listener.close());
    // The endpoint may still be routed to us: with its relay gone nobody gets through, and the process is to end.
    if (outcome.kind === 'expired') options.onUnresponsive();
  };

  /** Waits for the streams of an endpoint that is down at the edge; what is left at the deadline is cut and named. */
  const drainOne = async (endpoint: Endpoint, drainMs: number): Promise<readonly CutStreams[]> => {
    draining.add(endpoint);
    const cut = await drainStreams(endpoint.relay, drainMs, clock);
    draining.delete(endpoint);
    return cut;
  };

  const takeDown = async (endpoint: Endpoint, drainMs: number): Promise<readonly CutStreams[]> => {
    endpoint.isClosing = true;
    await closeListener(endpoint, drainMs);
    const { name } = endpoint.spec;
    if (endpoints.get(name) === endpoint) endpoints.delete(name);
    emit({ type: 'closed', endpoint: name });
    return drainOne(endpoint, drainMs);
  };

  /** The totals of endpoints that are about to be gone: nothing that was served goes uncounted. */
  const lastCounters = (ended: readonly Endpoint[]): void => {
    const counted = ended.flatMap(({ spec, relay }) =>
      relay === null ? [] : [[spec.name, relay.counters()] as const],
    );
    if (counted.length > 0) emit({ type: 'counters', endpoints: Object.fromEntries(counted) });
  };

  const unbind = async (name: string, drainMs: number): Promise<void> => {
    const endpoint = endpoints.get(name);
    if (endpoint === undefined || endpoint.isClosing) return;
    const cut = await takeDown(endpoint, drainMs);
    lastCounters([endpoint]);
    emit({ type: 'unbound', endpoint: name, cut });
  };

  return {
    bind(session, spec) {
      queue = queue.then(() => open(session, spec));
    },
    unbind,
    has: (name) => endpoints.has(name),
    setClosesAt(name, closesAtMs) {
      const endpoint = endpoints.get(name);
      if (endpoint !== undefined) endpoint.spec = { ...endpoint.spec, closesAtMs };
    },
    async drainAll(deadlineMs) {
      isEnding = true;
      const until = clock.now() + deadlineMs;
      const all = [...endpoints.values()].filter(({ isClosing }) => !isClosing);
      for (const endpoint of all) endpoint.isClosing = true;
      await Promise.all(all.map((endpoint) => closeListener(endpoint, deadlineMs)));
      for (const { spec } of all) {
        endpoints.delete(spec.name);
        emit({ type: 'closed', endpoint: spec.name });
      }
      const older = [...draining];
      const cuts = await Promise.all(
        all.map((endpoint) => drainOne(endpoint, Math.max(0, until - clock.now()))),
      );
      lastCounters(all);
      while (older.some((endpoint) => draining.has(endpoint)) && clock.now() < until)
        await sleep(clock, DRAIN_LOOK_MS);
      return cuts.flat();
    },
    enforceClosing(wallMs, drainMs) {
      for (const [name, { spec }] of endpoints) {
        if (spec.closesAtMs !== null && spec.closesAtMs <= wallMs) void unbind(name, drainMs);
      }
    },
    beat() {
      for (const endpoint of endpoints.values()) {
        if (endpoint.listener !== null && !endpoint.isServing) {
          clock.after(SETTLE_MS, () => serveWhenSettled(endpoint));
        }
      }
    },
    dialFailed: relays.dialFailed,
    counters: () =>
      Object.fromEntries(
        [...endpoints.values()].flatMap(({ spec, relay }) =>
          relay === null ? [] : [[spec.name, relay.counters()] as const],
        ),
      ),
    snapshot: () =>
      [...endpoints.values()].flatMap(({ spec, listener, url, endpointId, boundAt, isServing, isClosing }) =>
        listener === null || isClosing ? [] : [{ spec, url, endpointId, serving: isServing, boundAt }],
      ),
    remotes: () => allRelays().flatMap((relay) => relay.remotes()),
    repeat: relays.repeat,
    get size() {
      return endpoints.size + draining.size;
    },
  };
};
