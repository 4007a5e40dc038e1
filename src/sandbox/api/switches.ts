/** Behaviour of the real service that nobody documents: the sandbox can act either way, so that clients meet both. */

/** When the end of a credential is felt by a session that uses it. */
export type When = 'at-once' | 'next-bind' | 'next-connect';
export const WHENS: readonly When[] = ['at-once', 'next-bind', 'next-connect'];

/** When a narrower ACL is felt by endpoints that are already open. */
export type AclEffect = 'now' | 'next-bind';
export const ACL_EFFECTS: readonly AclEffect[] = ['now', 'next-bind'];

/** Mutable on purpose: tests and the control door turn them while everything runs. */
export interface ApiSwitches {
  /** Deleting a credential, or its owner. */
  revoke: When;
  /** Deactivating a service user. */
  disable: When;
  /** PATCH of a credential's `acl`. */
  aclPatch: AclEffect;
  /** When true, public names and TCP addresses must be reserved first (318, 319, 307, 309, 320). */
  reservations: boolean;
  /** How long a new domain's certificate job runs. */
  certificateMs: number;
}

export const defaultSwitches = (): ApiSwitches => ({
  revoke: 'at-once',
  disable: 'at-once',
  aclPatch: 'next-bind',
  reservations: false,
  certificateMs: 0,
});
