/** Revokes a device: deletes its credentials, ends the sessions that use them, and says honestly what is left. */
import type { Clock } from '../core/clock.ts';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { type ApiFault, equals, type NgrokApi, type TunnelSession } from './api/index.ts';
import type { AuditLog } from './audit-log.ts';
import { descriptionOf, type HeldCredential, heldBy } from './credential-tag.ts';
import { createSessionCensus, type EndedSessions, endSessions } from './end-sessions.ts';
import { deleteCredential } from './mint.ts';
import { findUser, userName } from './service-user.ts';

export interface RevokePorts {
  readonly api: NgrokApi;
  readonly audit: AuditLog;
  readonly clock: Clock;
  /** Credentials that were deleted and whose sessions were not seen to end; outlives a crash. */
  readonly unfinished: {
    read(device: string): Promise<Result<readonly string[]>>;
    write(device: string, credentialIds: readonly string[]): Promise<Result<void>>;
  };
}

export interface RevokeOptions {
  readonly tenant: string;
  readonly device: string;
  /** After it what is left is reported. */
  readonly deadlineMs: number;
  /** What becomes of the device's own service user. One of a site is left alone. */
  readonly user: 'keep' | 'disable' | 'delete';
  readonly signal?: AbortSignal;
}

export interface Revoked {
  readonly deleted: readonly string[];
  /** Credentials that could not be deleted: they still work. */
  readonly kept: readonly { readonly id: string; readonly fault: ApiFault }[];
  readonly sessions: EndedSessions;
  /** Sessions that call themselves by the device's name and use a credential that is not one of its own. */
  readonly others: readonly TunnelSession[];
  readonly user: 'kept' | 'disabled' | 'deleted' | 'none';
}

const byOwnName = ({ metadata }: TunnelSession, device: string): boolean =>
  metadata === device || metadata.includes(`"${device}"`);

const endUser = async (
  ports: RevokePorts,
  { device, user }: RevokeOptions,
  site: string | undefined,
): Promise<Result<Revoked['user']>> => {
  const { api, audit } = ports;
  if (user === 'keep') return ok('kept');
  const found = await findUser(api, userName(site, device));
  if (!found.ok) return found;
  if (found.value === null) return ok('none');
  const { id } = found.value;
  const done =
    user === 'delete'
      ? await api.serviceUsers.remove(id)
      : await api.serviceUsers.update(id, { active: false });
  if (!done.ok) return done;
  await audit.write({ what: user === 'delete' ? 'user.delete' : 'user.disable', id, device });
  return ok(user === 'delete' ? 'deleted' : 'disabled');
};

const deleteAll = async (
  ports: RevokePorts,
  held: readonly HeldCredential[],
): Promise<Pick<Revoked, 'deleted' | 'kept'>> => {
  const deleted: string[] = [];
  const kept: { id: string; fault: ApiFault }[] = [];
  for (const { id, tag } of held) {
    const gone = await deleteCredential(ports, id, { device: tag.device, gen: tag.gen });
    if (gone.ok) deleted.push(id);
    else kept.push({ id, fault: gone.fault });
  }
  return { deleted, kept };
};

/**
 * Revokes. Deleting a credential keeps every new session out; whether it cuts the live ones is not documented, so each
 * is told to stop. A stop is carried out by the agent itself and is no defence against a hostile one: what stays is in
 * the answer. `API_NOT_FOUND` when there is nothing of this device to revoke.
 */
export const revokeDevice = async (ports: RevokePorts, options: RevokeOptions): Promise<Result<Revoked>> => {
  const { api, audit, clock, unfinished } = ports;
  const { tenant, device } = options;
  const listed = await api.credentials.list({ filter: equals('description', descriptionOf(tenant, device)) });
  if (!listed.ok) return listed;
  const held = heldBy(tenant, listed.value).filter(({ tag }) => tag.device === device);
  const before = await unfinished.read(device);
  if (!before.ok) return before;
  if (held.length === 0 && before.value.length === 0)
    return failed(
      fault('API_NOT_FOUND', `${device} has no credential of ours; there was nothing to revoke.`, false),
    );
  const ids = [...new Set([...before.value, ...held.map(({ id }) => id)])];
  const noted = await unfinished.write(device, ids);
  if (!noted.ok) return noted;

  const { deleted, kept } = await deleteAll(ports, held);
  const site = held.find(({ tag }) => tag.site !== undefined)?.tag.site;
  const user = await endUser(ports, options, site);
  if (!user.ok) return user;
  const sessions = await endSessions({
    census: createSessionCensus(api),
    api,
    audit,
    clock,
    device,
    credentialIds: ids,
    graceMs: 0,
    deadlineMs: options.deadlineMs,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  if (!sessions.ok) return sessions;
  const online = await api.tunnelSessions.list();
  if (!online.ok) return online;
  const others = online.value.filter(
    (session) => byOwnName(session, device) && !ids.includes(session.credential.id),
  );
  const isOver = kept.length === 0 && sessions.value.remaining.length === 0;
  const settled = await unfinished.write(device, isOver ? [] : ids);
  return settled.ok ? ok({ deleted, kept, sessions: sessions.value, others, user: user.value }) : settled;
};
