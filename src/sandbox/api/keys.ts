/** API keys and who they speak for. */
import type { Clock } from '../../core/clock.ts';
import type { SandboxAccounts } from './accounts.ts';
import { hasIdForm } from './ids.ts';
import { type Problem, problem } from './problems.ts';
import type { Caller } from './route.ts';
import { hashSecret, hasTokenForm, newSecret } from './tokens.ts';

export interface KeyRecord {
  readonly id: string;
  readonly account: string;
  readonly ownerId: string;
  readonly role: Caller['role'];
  readonly createdAtMs: number;
  description: string;
  metadata: string;
}

/** What may be told about a key that is made by hand; the account's administrator owns it unless told otherwise. */
export interface KeySettings {
  readonly account?: string;
  readonly ownerId?: string;
  readonly role?: Caller['role'];
  readonly description?: string;
  readonly metadata?: string;
}

export interface ApiKeys {
  /** The key itself is told here and never again. */
  add(settings?: KeySettings): { readonly record: KeyRecord; readonly key: string };
  /** Newest first. */
  list(account: string): readonly KeyRecord[];
  get(account: string, id: string): KeyRecord | null;
  remove(record: KeyRecord): void;
  removeOf(ownerId: string): void;
  /** Reads an Authorization header: who asks, or why nobody does. */
  caller(authorization: string | undefined): Caller | Problem;
}

export const createKeys = (clock: Clock, accounts: SandboxAccounts, defaultAccount: string): ApiKeys => {
  const byHash = new Map<string, KeyRecord>();

  const removeWhere = (isGone: (record: KeyRecord) => boolean): void => {
    for (const [hash, record] of byHash) if (isGone(record)) byHash.delete(hash);
  };

  return {
    add: (settings = {}) => {
      const account = settings.account ?? defaultAccount;
      const admin = accounts.people.admin(account);
      const ownerId = settings.ownerId ?? admin.id;
      const idPart = accounts.newId();
      const key = newSecret(idPart);
      const record: KeyRecord = {
        id: `ak_${idPart}`,
        account,
        ownerId,
        // A service user works as a developer only, whatever its key was asked to be.
        role: ownerId === admin.id ? (settings.role ?? 'admin') : 'developer',
        createdAtMs: clock.wall(),
        description: settings.description ?? '',
        metadata: settings.metadata ?? '',
      };
      byHash.set(hashSecret(key), record);
      return { record, key };
    },
    list: (account) => [...byHash.values()].filter((record) => record.account === account).reverse(),
    get: (account, id) =>
      [...byHash.values()].find((record) => record.account === account && record.id === id) ?? null,
    remove: (gone) => removeWhere((record) => record === gone),
    removeOf: (ownerId) => removeWhere((record) => record.ownerId === ownerId),
    caller: (authorization) => {
      if (authorization === undefined) return problem('noAuthorization');
      const key = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization)?.[1];
      if (key === undefined) return problem('badAuthorization');
      const record = byHash.get(hashSecret(key));
      if (record && accounts.people.isActive(record.ownerId)) return record;
      if (hasIdForm(key, 'ak')) return problem('keyIdAsKey');
      if (accounts.isToken(key)) return problem('authtokenAsKey');
      return problem(hasTokenForm(key) ? 'unknownKey' : 'notAKey');
    },
  };
};
