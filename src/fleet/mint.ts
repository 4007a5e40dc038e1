/** Makes a device's credential so that none is left behind, whatever happens to the answer. */
import type { Clock } from '../core/clock.ts';
import { newCommandId } from '../protocol/ids.ts';
import { type ApiFault, type ApiResult, type Credential, equals, type NgrokApi } from './api/index.ts';
import { type AuditLog, auditFault } from './audit-log.ts';
import { type CredentialTag, descriptionOf, formatTag, parseTag } from './credential-tag.ts';

export interface MintOptions {
  /** Everything but the mark of the attempt. */
  readonly tag: Omit<CredentialTag, 'mint'>;
  /** Never empty unless the caller was told so. */
  readonly acl: readonly string[];
  /** Empty for the key's own owner. */
  readonly ownerId: string;
  /** The mark of the attempt, when it was noted down before. */
  readonly mint?: string;
}

/** `token` is a secret that cannot be had again. */
export interface Minted {
  readonly id: string;
  readonly token: string;
  readonly tag: CredentialTag;
}

export interface MintPorts {
  readonly api: Pick<NgrokApi, 'credentials'>;
  readonly audit: AuditLog;
  readonly clock: Pick<Clock, 'wall' | 'random'>;
}

const MOST_TRIES = 3;

/** Deletes and records it either way. Success also when it is gone already. */
export const deleteCredential = async (
  { api, audit }: MintPorts,
  id: string,
  about: { readonly device: string; readonly gen: number; readonly rotation?: string },
): Promise<ApiResult<void>> => {
  const gone = await api.credentials.remove(id);
  if (!gone.ok) {
    await audit.write({ what: 'delete.failed', id, ...about, ...auditFault(gone.fault) });
    return gone;
  }
  await audit.write({ what: 'delete', id, ...about });
  return { ok: true, value: undefined };
};

const about = ({ device, gen, rotation }: Pick<CredentialTag, 'device' | 'gen' | 'rotation'>) => ({
  device,
  gen,
  ...(rotation === undefined ? {} : { rotation }),
});

/** The credentials that an attempt without an answer made after all: their tokens are lost. */
const strays = async (
  api: MintPorts['api'],
  tag: CredentialTag,
): Promise<ApiResult<readonly Credential[]>> => {
  const listed = await api.credentials.list({
    filter: equals('description', descriptionOf(tag.tenant, tag.device)),
  });
  if (!listed.ok) return listed;
  return { ok: true, value: listed.value.filter(({ metadata }) => parseTag(metadata)?.mint === tag.mint) };
};

const withoutToken = (id: string): ApiFault => ({
  code: 'API_UNAVAILABLE',
  message: `The answer to the creation of ${id} has no token.`,
  retryable: true,
  status: 201,
  operationId: null,
  isUncertain: false,
});

/**
 * Creates a credential and records it. A creation whose answer was lost is looked for and deleted before the next
 * attempt. A fault that is `isUncertain` means that one may be left; a later rotation of the device finds it.
 */
export const mintCredential = async (ports: MintPorts, options: MintOptions): Promise<ApiResult<Minted>> => {
  const { api, audit, clock } = ports;
  // One mark for all attempts: whatever was noted down before finds each of them.
  const mint = options.mint ?? newCommandId(clock);
  for (let tries = 1; ; tries += 1) {
    const tag: CredentialTag = { ...options.tag, mint };
    const made = await api.credentials.create({
      description: descriptionOf(tag.tenant, tag.device),
      metadata: formatTag(tag),
      acl: options.acl,
      ...(options.ownerId === '' ? {} : { owner_id: options.ownerId }),
    });
    if (made.ok) {
      const { id, token } = made.value;
      await audit.write({ what: 'mint', id, ...about(tag), acl: options.acl, owner: options.ownerId });
      if (token !== null) return { ok: true, value: { id, token, tag } };
      const gone = await deleteCredential(ports, id, about(tag));
      return gone.ok ? { ok: false, fault: withoutToken(id) } : gone;
    }
    await audit.write({ what: 'mint.failed', ...about(tag), ...auditFault(made.fault) });
    if (!made.fault.isUncertain) return made;
    const found = await strays(api, tag);
    if (!found.ok) return made;
    for (const { id } of found.value) {
      const gone = await deleteCredential(ports, id, about(tag));
      if (!gone.ok) return made;
    }
    if (tries >= MOST_TRIES) return { ok: false, fault: { ...made.fault, isUncertain: false } };
  }
};
