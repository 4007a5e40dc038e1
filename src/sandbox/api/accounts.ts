/**
 * The one store of authtokens: the edge asks it at Auth and Bind, the API makes and deletes credentials in it, the
 * control door registers and revokes tokens in it. Deleted credentials stay behind as marks, since what their live
 * sessions may still do depends on the switches.
 */
import type { Clock } from '../../core/clock.ts';
import type { Accounts, Credential, Refusal } from '../contract.ts';
import { aclRefusal, type BindTarget } from './acl.ts';
import { createIds, type NewId } from './ids.ts';
import { createPeople, type People, type ServiceUser, serviceUserId } from './people.ts';
import { type ApiSwitches, defaultSwitches, type When } from './switches.ts';
import { hashSecret, hasTokenForm, newSecret } from './tokens.ts';

/** A credential with what the API shows of it. Its token exists as a hash only. */
export interface CredentialRecord {
  readonly id: string;
  readonly tokenHash: string;
  readonly createdAtMs: number;
  readonly ownerId: string;
  /** Name in `GET /state`; null means the description, or the id when that is empty. */
  readonly givenName: string | null;
  account: string;
  acl: readonly string[];
  maxSessions: number | null;
  description: string;
  metadata: string;
  /** Null while valid. */
  revoked: When | null;
}

/** What may be told about a token that is registered by hand. */
export interface TokenSettings {
  readonly name?: string;
  readonly account?: string;
  readonly acl?: readonly string[];
  readonly maxSessions?: number | null;
}

export interface NewCredential {
  readonly account: string;
  readonly ownerId: string;
  readonly acl: readonly string[];
  readonly description: string;
  readonly metadata: string;
}

export interface SandboxAccounts extends Accounts {
  readonly people: People;
  readonly switches: ApiSwitches;
  readonly newId: NewId;
  /** Registers any printable text as a token, or replaces the settings of one; felt at the next Auth or Bind. */
  setToken(authtoken: string, settings?: TokenSettings): CredentialRecord;
  /** As if its credential were deleted. `unknown` for a text that never was a token. */
  revokeToken(authtoken: string, when?: When): 'revoked' | 'revoked-before' | 'unknown';
  /** Makes a credential with a token of ngrok's form, which is told here and never again. */
  createCredential(given: NewCredential): { readonly record: CredentialRecord; readonly token: string };
  /** A valid credential of the account, or null. */
  credential(account: string, id: string): CredentialRecord | null;
  /** Valid credentials of an account, newest first. */
  credentials(account: string): readonly CredentialRecord[];
  revokeCredential(record: CredentialRecord, when?: When): void;
  /** Removes a service user and revokes all its credentials. */
  deleteServiceUser(user: ServiceUser): void;
  /** Sessions of the user's credentials are cut or left, as `switches.disable` says. */
  setServiceUserActive(user: ServiceUser, active: boolean): void;
  /** True for a text that is, or was, a token. */
  isToken(text: string): boolean;
  /** Reservations and cloud endpoints live with the API; until it is wired every address may be used. */
  checkAddresses(check: (account: string, target: BindTarget) => Refusal | null): void;
}

/** Account of tokens that are registered without one. */
export const DEFAULT_ACCOUNT = 'A';

const refusal = (number: number, message: string): Refusal => ({ code: `ERR_NGROK_${number}`, message });

export const createAccounts = (clock: Clock, switches: ApiSwitches = defaultSwitches()): SandboxAccounts => {
  const newId = createIds(clock);
  const people = createPeople(clock, newId);
  const byHash = new Map<string, CredentialRecord>();
  const byId = new Map<string, CredentialRecord>();
  const listeners: ((credentialId: string, when: When) => void)[] = [];
  let addressRefusal: (account: string, target: BindTarget) => Refusal | null = () => null;

  const tell = (record: CredentialRecord, when: When): void => {
    for (const listener of listeners) listener(record.id, when);
  };
  const keep = (record: CredentialRecord): CredentialRecord => {
    byHash.set(record.tokenHash, record);
    byId.set(record.id, record);
    return record;
  };
  const revokeCredential = (record: CredentialRecord, when: When = switches.revoke): void => {
    record.revoked = when;
    tell(record, when);
  };
  const ownedBy = (user: ServiceUser): readonly CredentialRecord[] =>
    [...byId.values()].filter((record) => record.ownerId === serviceUserId(user) && record.revoked === null);

  /** When the record stopped being valid, by itself or with its owner; null while it is valid. */
  const endOf = (record: CredentialRecord): When | null =>
    record.revoked ?? (people.isActive(record.ownerId) ? null : switches.disable);

  const publicView = (record: CredentialRecord): Credential => ({
    id: record.id,
    name: record.givenName ?? (record.description || record.id),
    account: record.account,
    ownerId: record.ownerId,
    acl: record.acl,
    maxSessions: record.maxSessions,
  });

  return {
    people,
    switches,
    newId,
    authenticate: (authtoken) => {
      if (authtoken === '') return refusal(4018, 'This operation needs a verified account and an authtoken.');
      const record = byHash.get(hashSecret(authtoken));
      if (record && endOf(record) === null) return publicView(record);
      return record || hasTokenForm(authtoken)
        ? refusal(107, 'The authtoken has the right form but is not valid.')
        : refusal(105, 'The authtoken does not have the form of an ngrok authtoken.');
    },
    mayBind: (credentialId, target) => {
      const record = byId.get(credentialId);
      const end = record ? endOf(record) : 'next-bind';
      if (!record || (end !== null && end !== 'next-connect')) {
        return refusal(300, 'The credential of this session was revoked.');
      }
      return aclRefusal(record.acl, target);
    },
    mayUseAddress: (credentialId, target) => {
      const record = byId.get(credentialId);
      return record ? addressRefusal(record.account, target) : null;
    },
    onRevoked: (listener) => {
      listeners.push(listener);
    },
    setToken: (authtoken, settings = {}) => {
      const tokenHash = hashSecret(authtoken);
      const account = settings.account ?? DEFAULT_ACCOUNT;
      const acl = [...(settings.acl ?? [])];
      const maxSessions = settings.maxSessions ?? null;
      const known = byHash.get(tokenHash);
      if (known && known.revoked === null) {
        return Object.assign(known, { account, acl, maxSessions });
      }
      const id = `cr_${newId()}`;
      const name = settings.name ?? known?.givenName ?? id;
      return keep({
        id,
        tokenHash,
        createdAtMs: clock.wall(),
        ownerId: people.admin(account).id,
        givenName: name,
        account,
        acl,
        maxSessions,
        description: name,
        metadata: '',
        revoked: null,
      });
    },
    revokeToken: (authtoken, when) => {
      const record = byHash.get(hashSecret(authtoken));
      if (!record) return 'unknown';
      if (record.revoked !== null) return 'revoked-before';
      revokeCredential(record, when);
      return 'revoked';
    },
    createCredential: (given) => {
      const idPart = newId();
      const token = newSecret(idPart);
      const record = keep({
        ...given,
        id: `cr_${idPart}`,
        tokenHash: hashSecret(token),
        createdAtMs: clock.wall(),
        givenName: null,
        maxSessions: null,
        revoked: null,
      });
      return { record, token };
    },
    credential: (account, id) => {
      const record = byId.get(id);
      return record?.account === account && record.revoked === null ? record : null;
    },
    credentials: (account) =>
      [...byId.values()].filter((record) => record.account === account && record.revoked === null).reverse(),
    revokeCredential,
    deleteServiceUser: (user) => {
      const owned = ownedBy(user);
      people.removeServiceUser(user);
      for (const record of owned) revokeCredential(record);
    },
    setServiceUserActive: (user, active) => {
      if (user.active === active) return;
      user.active = active;
      if (!active) for (const record of ownedBy(user)) tell(record, switches.disable);
    },
    isToken: (text) => byHash.has(hashSecret(text)),
    checkAddresses: (check) => {
      addressRefusal = check;
    },
  };
};
