/** Which devices a rotation is over, and the credentials they have. */
import { type Fault, failed, fault, ok, type Result } from '../../core/errors.ts';
import { isDeviceId } from '../../protocol/names.ts';
import { equals, type NgrokApi } from '../api/index.ts';
import { descriptionOf, type HeldCredential, heldBy } from '../credential-tag.ts';

/** Which devices. */
export type Scope =
  | { readonly kind: 'device'; readonly device: string }
  | { readonly kind: 'site'; readonly site: string }
  | { readonly kind: 'fleet' };

/** The credentials of a scope, newest first. */
export const listHeld = async (
  api: NgrokApi,
  tenant: string,
  scope: Scope,
): Promise<Result<readonly HeldCredential[]>> => {
  const listed = await api.credentials.list(
    scope.kind === 'device' ? { filter: equals('description', descriptionOf(tenant, scope.device)) } : {},
  );
  if (!listed.ok) return listed;
  const held = heldBy(tenant, listed.value);
  return ok(
    held.filter(({ tag }) =>
      scope.kind === 'device'
        ? tag.device === scope.device
        : scope.kind === 'fleet' || tag.site === scope.site,
    ),
  );
};

/** The same, by device. */
export const byDevice = (held: readonly HeldCredential[]): Map<string, HeldCredential[]> => {
  const devices = new Map<string, HeldCredential[]>();
  for (const one of held) {
    const of = devices.get(one.tag.device);
    if (of === undefined) devices.set(one.tag.device, [one]);
    else of.push(one);
  }
  return devices;
};

/** What a word on the command line names: `fleet`, `site:NAME`, `device:ID`, else a device, else a site. */
export const resolveScope = async (api: NgrokApi, tenant: string, word: string): Promise<Result<Scope>> => {
  if (word === 'fleet') return ok({ kind: 'fleet' });
  const [kind, name] = word.includes(':') ? word.split(':', 2) : ['', word];
  if (name === undefined || name === '' || !['', 'device', 'site'].includes(kind ?? ''))
    return failed(
      fault('BAD_ARGS', 'It is a device, a site or fleet; device:ID and site:NAME say which.', false),
    );
  const device: Scope = { kind: 'device', device: name };
  if (kind === 'site') return ok({ kind: 'site', site: name });
  if (kind === 'device') return ok(device);
  const held = isDeviceId(name) ? await listHeld(api, tenant, device) : ok([]);
  if (!held.ok) return held;
  return ok(held.value.length > 0 ? device : { kind: 'site', site: name });
};

/** How a credential says which rotation made it. */
export const scopeText = (scope: Scope): string =>
  scope.kind === 'site' ? `site:${scope.site}` : scope.kind === 'fleet' ? 'fleet' : 'device';

/** Why there is nothing to rotate. */
export const nothingFor = (scope: Scope): Fault =>
  fault(
    'BAD_ARGS',
    scope.kind === 'device'
      ? `${scope.device} has no credential of ours: enroll it first.`
      : scope.kind === 'site'
        ? `No device of a site ${scope.site} has a credential of ours.`
        : 'No device has a credential of ours.',
    false,
  );
