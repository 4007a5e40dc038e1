/** What all resources share. */
import type { Clock } from '../../core/clock.ts';
import type { EdgeState } from '../contract.ts';
import type { SandboxAccounts } from './accounts.ts';
import type { EventLog } from './event-log.ts';
import type { ApiKeys } from './keys.ts';
import type { Caller } from './route.ts';
import { Rows } from './rows.ts';

export interface World {
  readonly clock: Clock;
  readonly accounts: SandboxAccounts;
  readonly keys: ApiKeys;
  readonly edge: EdgeState;
  readonly events: EventLog;
  /** Names under it belong to the sandbox and need no CNAME. */
  readonly domain: string;
  /** `prefix_` and 27 characters, ordered by time. */
  newId(prefix: string): string;
  /** URL of a resource, or of one of its items. */
  uri(path: string, id?: string): string;
  /** The rows of a plain resource, by its path; made at the first call. */
  rows(path: string): Rows;
}

export interface WorldParts
  extends Pick<World, 'clock' | 'accounts' | 'keys' | 'edge' | 'events' | 'domain'> {
  /** Known once the server listens. */
  readonly origin: () => string;
}

export const createWorld = (parts: WorldParts): World => {
  const stores = new Map<string, Rows>();
  const { clock, accounts, keys, edge, events, domain } = parts;
  return {
    clock,
    accounts,
    keys,
    edge,
    events,
    domain,
    newId: (prefix) => `${prefix}_${accounts.newId()}`,
    uri: (path, id) => `${parts.origin()}/${path}${id === undefined ? '' : `/${id}`}`,
    rows: (path) => {
      const rows = stores.get(path) ?? new Rows();
      stores.set(path, rows);
      return rows;
    },
  };
};

/** A reference as ngrok shows it inside other objects. */
export const ref = (
  world: World,
  path: string,
  id: string,
): { readonly id: string; readonly uri: string } => ({
  id,
  uri: world.uri(path, id),
});

/** Notes that something was made, changed or deleted. */
export const audit = (
  world: World,
  caller: Caller,
  what: string,
  object: Readonly<Record<string, unknown>>,
): void => {
  world.events.record({ type: `${what}.v0`, account: caller.account, principal: caller.ownerId, object });
};
