/** Who can own a credential: one administrator per account, and the service users made through the API. */
import type { Clock } from '../../core/clock.ts';
import type { NewId } from './ids.ts';

export interface ServiceUser {
  /** 27 characters; `service_` or `bot_` in front depending on the resource that shows it. */
  readonly key: string;
  readonly account: string;
  name: string;
  active: boolean;
  readonly createdAtMs: number;
}

export interface Owner {
  /** `usr_…` or `service_…`. */
  readonly id: string;
  readonly isAdmin: boolean;
  readonly isActive: boolean;
}

export interface People {
  /** The administrator of an account; made at the first call. */
  admin(account: string): Owner;
  /** By user id, e-mail address, `service_…` or `bot_…` id; null when the account has nobody of that reference. */
  find(account: string, reference: string): Owner | null;
  /** False for somebody deactivated or deleted. */
  isActive(ownerId: string): boolean;
  /** Newest first. */
  serviceUsers(account: string): readonly ServiceUser[];
  serviceUser(account: string, key: string): ServiceUser | null;
  addServiceUser(account: string, name: string, active: boolean): ServiceUser;
  removeServiceUser(user: ServiceUser): void;
}

/** E-mail address of an account's administrator. */
export const adminEmail = (account: string): string => `admin@${account.toLowerCase()}.test`;

export const serviceUserId = (user: ServiceUser): string => `service_${user.key}`;

export const createPeople = (clock: Clock, newId: NewId): People => {
  const admins = new Map<string, string>();
  const users = new Map<string, ServiceUser>();

  const admin = (account: string): Owner => {
    const id = admins.get(account) ?? `usr_${newId()}`;
    admins.set(account, id);
    return { id, isAdmin: true, isActive: true };
  };
  const keyOf = (reference: string): string | null => /^(?:service|bot)_(.+)$/.exec(reference)?.[1] ?? null;

  return {
    admin,
    find: (account, reference) => {
      const owner = admin(account);
      if (reference === owner.id || reference === adminEmail(account)) return owner;
      const user = users.get(keyOf(reference) ?? '');
      return user?.account === account
        ? { id: serviceUserId(user), isAdmin: false, isActive: user.active }
        : null;
    },
    isActive: (ownerId) => {
      const key = keyOf(ownerId);
      return key === null || users.get(key)?.active === true;
    },
    serviceUsers: (account) => [...users.values()].filter((user) => user.account === account).reverse(),
    serviceUser: (account, key) => {
      const user = users.get(key);
      return user?.account === account ? user : null;
    },
    addServiceUser: (account, name, active) => {
      const user: ServiceUser = { key: newId(), account, name, active, createdAtMs: clock.wall() };
      users.set(user.key, user);
      return user;
    },
    removeServiceUser: (user) => {
      users.delete(user.key);
    },
  };
};
