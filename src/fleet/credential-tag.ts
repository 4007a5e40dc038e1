/**
 * How Lockkeeper's credentials are told apart at ngrok, which knows no tags: a JSON text in `metadata` says whose a
 * credential is, `description` names the device, alone, so that a filter finds all of a device's in one request.
 */
import { Type } from 'typebox';
import { isKey32 } from '../protocol/base64url.ts';
import { DEVICE_ID_PATTERN, KID_PATTERN, ULID_PATTERN } from '../protocol/names.ts';
import { isRecord, parseStrictJson } from '../protocol/strict-json.ts';
import { checker } from '../protocol/validate.ts';
import type { Credential } from './api/index.ts';
import type { PinnedKey } from './device-book.ts';

/** What a credential of a device says of itself. */
export interface CredentialTag {
  readonly tenant: string;
  readonly device: string;
  readonly site?: string;
  /** Generation that the device reports for it. */
  readonly gen: number;
  /** The rotation that made it (ULID, so newer ones sort higher). */
  readonly rotation?: string;
  /** What that rotation was over: `fleet`, `site:NAME` or `device`. */
  readonly scope?: string;
  /** One attempt to make a credential (ULID): finds it again when the answer was lost, and tells when it was made. */
  readonly mint: string;
  /** Key to which the device's tokens are sealed, so that any operator's machine can rotate. */
  readonly pin?: PinnedKey;
  /** Fingerprint of the token, where the device may count another generation for it. */
  readonly fp?: string;
}

const checkTag = checker(
  Type.Object({
    lk: Type.Literal(1),
    tenant: Type.String({ minLength: 1, maxLength: 64 }),
    device: Type.String({ pattern: DEVICE_ID_PATTERN }),
    site: Type.Optional(Type.String()),
    gen: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    rotation: Type.Optional(Type.String({ pattern: ULID_PATTERN })),
    scope: Type.Optional(Type.String()),
    mint: Type.String({ pattern: ULID_PATTERN }),
    pin: Type.Optional(Type.Object({ kid: Type.String({ pattern: KID_PATTERN }), x: Type.String() })),
    fp: Type.Optional(Type.String({ pattern: '^[0-9a-f]{8}$' })),
  }),
);

/** The description of every credential of a device. */
export const descriptionOf = (tenant: string, device: string): string => `lockkeeper ${tenant}/${device}`;

/** The metadata text. */
export const formatTag = (tag: CredentialTag): string => JSON.stringify({ lk: 1, ...tag });

/** Reads metadata; null when it is not of ours. Fields that a later version adds are passed over. */
export const parseTag = (metadata: string): CredentialTag | null => {
  const json = parseStrictJson(metadata);
  if (!json.ok || !isRecord(json.value) || json.value['lk'] !== 1) return null;
  const checked = checkTag(json.value);
  if (!checked.ok || (checked.value.pin !== undefined && !isKey32(checked.value.pin.x))) return null;
  const { lk: _lk, ...tag } = checked.value;
  return tag;
};

/** A credential of a device, as far as a decision needs it. */
export interface HeldCredential {
  readonly id: string;
  readonly tag: CredentialTag;
  readonly acl: readonly string[];
  readonly ownerId: string;
  readonly createdAt: string;
}

/** The credentials of one tenant among all of an account, in their order (newest first). */
export const heldBy = (tenant: string, credentials: readonly Credential[]): readonly HeldCredential[] =>
  credentials.flatMap((credential) => {
    const tag = parseTag(credential.metadata);
    return tag?.tenant === tenant
      ? [
          {
            id: credential.id,
            tag,
            acl: credential.acl,
            ownerId: credential.owner_id ?? '',
            createdAt: credential.created_at,
          },
        ]
      : [];
  });
