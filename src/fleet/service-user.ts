/** Service users: who owns the tokens of a device or a site, apart from people. They have nothing but a name. */
import type { ApiResult, NgrokApi, ServiceUser } from './api/index.ts';
import { type AuditLog, auditFault } from './audit-log.ts';

/** The name of a device's own user, or of a site's. */
export const userName = (site: string | undefined, device?: string): string =>
  [site, device].filter((part) => part !== undefined).join('/');

/** The user of this name, or null. */
export const findUser = async (
  api: Pick<NgrokApi, 'serviceUsers'>,
  name: string,
): Promise<ApiResult<ServiceUser | null>> => {
  const users = await api.serviceUsers.list();
  return users.ok ? { ok: true, value: users.value.find((user) => user.name === name) ?? null } : users;
};

const NAME_TAKEN = 'ERR_NGROK_4112';

/** Finds the user of this name or makes it. One that was made meanwhile, also by an attempt whose answer was lost, is taken. */
export const ensureUser = async (
  api: Pick<NgrokApi, 'serviceUsers'>,
  audit: AuditLog,
  name: string,
): Promise<ApiResult<ServiceUser>> => {
  const found = await findUser(api, name);
  if (!found.ok) return found;
  if (found.value !== null) return { ok: true, value: found.value };
  const made = await api.serviceUsers.create({ name });
  if (made.ok) {
    await audit.write({ what: 'user.create', id: made.value.id, owner: name });
    return made;
  }
  if (!made.fault.isUncertain && made.fault.ngrokCode !== NAME_TAKEN) return made;
  const again = await findUser(api, name);
  if (!again.ok) return again;
  if (again.value === null) return made;
  await audit.write({ what: 'user.create', id: again.value.id, owner: name, ...auditFault(made.fault) });
  return { ok: true, value: again.value };
};
