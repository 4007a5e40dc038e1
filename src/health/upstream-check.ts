/**
 * Looks whether upstreams are alive, locally: nothing goes through the public URL or a proxy. One without a `check` of
 * its own is tried once when its endpoint opens, and again only while it is down: a healthy service sees no probes in
 * its log, and the first connection that fails tells the rest.
 */
import { request } from 'node:http';
import type { Socket } from 'node:net';
import type { UpstreamConfig } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import type { ConditionNow } from '../core/condition.ts';
import type { UpstreamTarget } from '../core/endpoint.ts';
import { type Fault, fault } from '../core/errors.ts';

const TICK_MS = 1000;
/** How soon an upstream without a check of its own is tried again while it is down. */
const DOWN_AGAIN_MS = 5000;
const HTTP_DEADLINE_MS = 5000;
/** From here on an HTTP answer counts as a failure. */
const SERVER_ERROR = 500;

/** A connection to an upstream, with its TLS handshake done where it has one. */
export type DialUpstream = (
  target: UpstreamTarget,
  signal: AbortSignal,
) => Promise<{ readonly ok: true; readonly socket: Socket } | { readonly ok: false; readonly fault: Fault }>;

/** An open endpoint and where it leads. */
export interface CheckedEndpoint {
  readonly endpoint: string;
  readonly target: UpstreamTarget;
  readonly check: UpstreamConfig['check'];
}

export interface UpstreamChecksOptions {
  readonly clock: Clock;
  readonly dial: DialUpstream;
  /** Endpoints that are to be open now. */
  endpoints(): readonly CheckedEndpoint[];
  /** A condition came or went. */
  changed(): void;
}

export interface UpstreamChecks {
  /** `UPSTREAM_DOWN` for each open endpoint whose upstream did not answer its last check. */
  conditions(): readonly ConditionNow[];
  /** What the last check found, by endpoint; those that were not checked yet are missing. */
  found(): ReadonlyMap<string, 'up' | 'down'>;
  /** Looks from now on, until the returned function is called. */
  start(): () => void;
}

interface Seen {
  readonly fault: Fault | null;
  /** Monotonic milliseconds; null when it is not tried again by itself. */
  readonly nextAt: number | null;
}

/** Asks over a connection that stands: null for an answer below 500. */
const askHttp = (socket: Socket, target: UpstreamTarget, path: string, clock: Clock): Promise<Fault | null> =>
  new Promise((resolve) => {
    const where = `Upstream ${target.ref} (${target.host}:${target.port})`;
    const settle = (found: Fault | null): void => {
      cancel();
      asked.destroy();
      resolve(found);
    };
    const down = (why: string): void => settle(fault('UPSTREAM_DOWN', `${where} ${why}.`, true));
    const cancel = clock.after(HTTP_DEADLINE_MS, () => down(`does not answer ${path} in time`));
    const asked = request(
      {
        path,
        createConnection: () => socket,
        headers: {
          host: `${target.host}:${target.port}`,
          connection: 'close',
          'user-agent': 'lockkeeper-check',
        },
      },
      ({ statusCode = 0 }) => {
        if (statusCode < SERVER_ERROR) settle(null);
        else down(`answers ${path} with ${statusCode}`);
      },
    );
    asked.on('error', () => down(`ends the connection instead of answering ${path}`));
    asked.end();
  });

export const createUpstreamChecks = (options: UpstreamChecksOptions): UpstreamChecks => {
  const { clock } = options;
  const seen = new Map<string, Seen>();
  const busy = new Set<string>();
  const over = new AbortController();

  /** Endpoints with the same upstream and check share what is found. */
  const keyOf = ({ target, check }: CheckedEndpoint): string => JSON.stringify([target, check]);

  const probe = async ({ target, check }: CheckedEndpoint): Promise<Fault | null> => {
    // A handshake belongs to the connection of an upstream that speaks TLS, whichever way it is checked.
    const { verify = true, ...names } = target.tls ?? {};
    const dialled = await options.dial(
      check?.type === 'tls' ? { ...target, tls: { verify, ...names } } : target,
      over.signal,
    );
    if (!dialled.ok) return dialled.fault;
    dialled.socket.on('error', () => undefined);
    if (check?.type === 'http') return askHttp(dialled.socket, target, check.path, clock);
    dialled.socket.destroy();
    return null;
  };

  const look = async (endpoint: CheckedEndpoint, key: string): Promise<void> => {
    busy.add(key);
    const found = await probe(endpoint).catch(() => null);
    busy.delete(key);
    if (over.signal.aborted) return;
    const before = seen.get(key)?.fault ?? null;
    const everyMs =
      endpoint.check === null ? (found === null ? null : DOWN_AGAIN_MS) : endpoint.check.intervalS * 1000;
    seen.set(key, { fault: found, nextAt: everyMs === null ? null : clock.now() + everyMs });
    if (before?.message !== found?.message) options.changed();
  };

  const isDue = (key: string): boolean => {
    if (busy.has(key)) return false;
    const last = seen.get(key);
    return last === undefined || (last.nextAt !== null && last.nextAt <= clock.now());
  };

  const checked = (): readonly CheckedEndpoint[] =>
    options.endpoints().filter(({ check }) => check?.type !== 'none');

  const tick = (): void => {
    const all = new Map(checked().map((endpoint) => [keyOf(endpoint), endpoint]));
    // One that nobody wants any more is tried anew when it is wanted again.
    for (const key of seen.keys()) if (!all.has(key)) seen.delete(key);
    for (const [key, endpoint] of all) if (isDue(key)) void look(endpoint, key);
  };

  return {
    conditions: () =>
      checked().flatMap((endpoint): readonly ConditionNow[] => {
        const found = seen.get(keyOf(endpoint))?.fault ?? null;
        if (found === null) return [];
        return [
          { code: 'UPSTREAM_DOWN', severity: 'warning', message: found.message, endpoint: endpoint.endpoint },
        ];
      }),
    found: () =>
      new Map(
        checked().flatMap((endpoint) => {
          const last = seen.get(keyOf(endpoint));
          return last === undefined
            ? []
            : [[endpoint.endpoint, last.fault === null ? ('up' as const) : ('down' as const)]];
        }),
      ),
    start: () => {
      let cancel: () => void = () => undefined;
      const next = (): void => {
        tick();
        cancel = clock.after(TICK_MS, next);
      };
      next();
      return () => {
        over.abort();
        cancel();
      };
    },
  };
};
