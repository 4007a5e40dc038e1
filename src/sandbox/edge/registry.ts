import type { Clock } from '../../core/clock.ts';
import type { Target } from './address.ts';
import type { Endpoint } from './endpoint.ts';

/** What the edge remembers of an endpoint, so that its agent can bind it again. */
export interface Remembered {
  readonly token: string;
  /** The address was not chosen by the agent, though a rebind names it. */
  readonly random: boolean;
  readonly createdAtMs: number;
}

interface Entry extends Remembered {
  readonly id: string;
  readonly key: string;
  readonly pooled: boolean;
  /** Null while its session is lost and the address is kept for it. */
  endpoint: Endpoint | null;
  cancelExpiry: () => void;
}

/** Most endpoints remembered after their session was lost. */
const MOST_REMEMBERED = 10_000;

/**
 * Names the pool that an address belongs to. Internal names belong to an account; a public tcp port is one port
 * whatever name it goes by, since all of them are on loopback.
 */
export const poolKey = (target: Target, account: string): string => {
  const { binding, proto, host, port } = target;
  if (binding !== 'public')
    return accountKey(binding, account, proto, port === null ? host : `${host}:${port}`);
  return proto === 'tcp' ? tcpKey(port ?? 0) : nameKey(proto, host);
};

export const tcpKey = (port: number): string => `tcp|${port}`;
export const accountKey = (binding: string, account: string, proto: string, address: string): string =>
  `${binding}|${account}|${proto}|${address}`;
export const nameKey = (proto: string, host: string): string => `${proto}|${host}`;

/** Names that a wildcard endpoint for `host` could have, the most specific first; the exact name leads. */
export const namesFor = (host: string): readonly string[] => {
  const labels = host.split('.');
  return [host, ...labels.slice(1).map((_, index) => `*.${labels.slice(index + 1).join('.')}`)];
};

/** Who is bound where: pools by address, members by id, and the ids that may come back. */
export class Registry {
  readonly #clock: Clock;
  readonly #onPoolEmpty: (key: string) => void;
  readonly #entries = new Map<string, Entry>();
  readonly #pools = new Map<string, Set<Entry>>();
  readonly #past = new Map<string, Remembered>();

  /** `onPoolEmpty` is told when the last member of a pool is gone, reserved places included. */
  constructor(clock: Clock, onPoolEmpty: (key: string) => void) {
    this.#clock = clock;
    this.#onPoolEmpty = onPoolEmpty;
  }

  /** What is known about an id that an agent brings back; undefined for an id of an earlier edge. */
  recall(id: string): Remembered | undefined {
    return this.#entries.get(id) ?? this.#past.get(id);
  }

  find(id: string): Endpoint | null {
    return this.#entries.get(id)?.endpoint ?? null;
  }

  /** True when others hold the address and not all, the newcomer included, are pooled. */
  isTaken(key: string, id: string, pooled: boolean): boolean {
    const others = [...(this.#pools.get(key) ?? [])].filter((entry) => entry.id !== id);
    return others.length > 0 && !(pooled && others.every((entry) => entry.pooled));
  }

  /** URL of a member other than `id` under this address, or undefined: members of one pool have one URL. */
  urlOf(key: string, id: string): string | undefined {
    return this.members(key).find((endpoint) => endpoint.id !== id)?.url;
  }

  isInUse(key: string): boolean {
    return this.#pools.has(key);
  }

  /** Puts an endpoint on line. Returns the one of the same id that it replaces, if any. */
  put(endpoint: Endpoint): Endpoint | null {
    const { id, key, pooled, token, random, createdAtMs } = endpoint;
    const earlier = this.#entries.get(id);
    const replaced = earlier?.endpoint ?? null;
    const entry: Entry = {
      id,
      key,
      pooled,
      token,
      random,
      createdAtMs,
      endpoint,
      cancelExpiry: () => undefined,
    };
    this.#entries.set(id, entry);
    this.#past.delete(id);
    const pool = this.#pools.get(key) ?? new Set();
    pool.add(entry);
    this.#pools.set(key, pool);
    if (earlier !== undefined) this.#leavePool(earlier);
    return replaced;
  }

  /** Takes an endpoint off line for good. Does nothing when another one has replaced it. */
  remove(endpoint: Endpoint): void {
    const entry = this.#entries.get(endpoint.id);
    if (entry?.endpoint === endpoint) this.#forget(entry);
  }

  /** Takes an endpoint off line; its address is kept for `graceMs`, its id remembered for longer. */
  lose(endpoint: Endpoint, graceMs: number): void {
    const entry = this.#entries.get(endpoint.id);
    if (entry?.endpoint !== endpoint) return;
    entry.endpoint = null;
    const giveUp = (): void => {
      this.#forget(entry);
      this.#remember(entry);
    };
    if (graceMs <= 0) giveUp();
    else entry.cancelExpiry = this.#clock.after(graceMs, giveUp);
  }

  /** Members on line under an address. */
  members(key: string): readonly Endpoint[] {
    const pool = this.#pools.get(key);
    if (pool === undefined) return [];
    return [...pool].flatMap(({ endpoint }) => (endpoint === null ? [] : [endpoint]));
  }

  /** Forgets reserved places and their timers. */
  close(): void {
    for (const entry of [...this.#entries.values()]) this.#forget(entry);
  }

  #forget(entry: Entry): void {
    if (this.#entries.get(entry.id) === entry) this.#entries.delete(entry.id);
    this.#leavePool(entry);
  }

  #leavePool(entry: Entry): void {
    entry.cancelExpiry();
    const pool = this.#pools.get(entry.key);
    pool?.delete(entry);
    if (pool?.size !== 0) return;
    this.#pools.delete(entry.key);
    this.#onPoolEmpty(entry.key);
  }

  #remember(entry: Entry): void {
    const { id, token, random, createdAtMs } = entry;
    this.#past.set(id, { token, random, createdAtMs });
    if (this.#past.size <= MOST_REMEMBERED) return;
    const [oldest] = this.#past.keys();
    if (oldest !== undefined) this.#past.delete(oldest);
  }
}
