/** Reads what ngrok has of a site, and carries out a plan. */
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { isRecord, parseStrictJson } from '../../protocol/strict-json.ts';
import type { ApiFault, ApiResult, Endpoint, NgrokApi, ReservedDomain } from '../api/index.ts';
import { type AuditLog, auditFault } from '../audit-log.ts';
import { heldBy } from '../credential-tag.ts';
import { ensureUser, findUser } from '../service-user.ts';
import type { Change, Named, SiteState } from './site-plan.ts';
import { formatSiteTag, parseSiteTag } from './site-record.ts';
import type { EndpointSpec, SiteSpec } from './site-spec.ts';

interface Mark {
  readonly tenant: string;
  readonly site: string;
  readonly name: string;
}

/** Metadata of addresses and endpoints. */
const formatMark = ({ tenant, site, name }: Mark): string => JSON.stringify({ lk: 1, tenant, site, name });

const parseMark = (metadata: string): Mark | null => {
  const json = parseStrictJson(metadata);
  if (!json.ok || !isRecord(json.value) || json.value['lk'] !== 1) return null;
  const { tenant, site, name } = json.value;
  return typeof tenant === 'string' && typeof site === 'string' && typeof name === 'string'
    ? { tenant, site, name }
    : null;
};

const isOf = (
  mark: { readonly tenant: string; readonly site: string } | null,
  tenant: string,
  site: string,
) => mark?.tenant === tenant && mark.site === site;

/** What ngrok has. `spec` adds the objects of a wanted name that are not marked as the site's yet. */
export const readSiteState = async (
  api: NgrokApi,
  tenant: string,
  site: string,
  spec: SiteSpec | null,
): Promise<ApiResult<SiteState>> => {
  const user = await findUser(api, site);
  if (!user.ok) return user;
  const domains = await api.reservedDomains.list();
  if (!domains.ok) return domains;
  const addresses = await api.reservedAddrs.list();
  if (!addresses.ok) return addresses;
  const endpoints = await api.endpoints.list();
  if (!endpoints.ok) return endpoints;
  const clouds = endpoints.value.filter(({ type }) => type === 'cloud');
  const isOwn = ({ metadata }: Endpoint): boolean => isOf(parseMark(metadata ?? ''), tenant, site);
  const wantedUrls = spec?.endpoints.map(({ url }) => url) ?? [];
  return {
    ok: true,
    value: {
      user: user.value,
      domains: domains.value.filter(
        ({ domain, metadata }) => domain === spec?.domain || isOf(parseSiteTag(metadata), tenant, site),
      ),
      addresses: addresses.value.flatMap((object): readonly Named<typeof object>[] => {
        const mark = parseMark(object.metadata);
        return mark !== null && isOf(mark, tenant, site) ? [{ name: mark.name, object }] : [];
      }),
      endpoints: clouds.filter((endpoint) => isOwn(endpoint) || wantedUrls.includes(endpoint.url)),
      ownUrls: clouds.filter(isOwn).map(({ url }) => url),
    },
  };
};

/** Devices of a site that have a credential. */
export const devicesOf = async (
  api: NgrokApi,
  tenant: string,
  site: string,
): Promise<ApiResult<readonly string[]>> => {
  const listed = await api.credentials.list();
  if (!listed.ok) return listed;
  const held = heldBy(tenant, listed.value).filter(({ tag }) => tag.site === site);
  return { ok: true, value: [...new Set(held.map(({ tag }) => tag.device))] };
};

export interface ApplyPorts {
  readonly api: NgrokApi;
  readonly audit: AuditLog;
  readonly tenant: string;
  /** Called after each change that was carried out. */
  readonly onChange?: (change: Change) => void;
}

const YOURS_ALREADY = 'ERR_NGROK_413';

const createDomain = async ({ api, tenant }: ApplyPorts, spec: SiteSpec): Promise<Result<ReservedDomain>> => {
  const metadata = formatSiteTag({ tenant, ...spec });
  if (!metadata.ok) return metadata;
  const made = await api.reservedDomains.create({
    domain: spec.domain,
    description: `site ${spec.site}`,
    metadata: metadata.value,
    ...(spec.region === '' ? {} : { resolves_to: [{ value: spec.region }] }),
  });
  if (made.ok || !(made.fault.isUncertain || made.fault.ngrokCode === YOURS_ALREADY)) return made;
  // An attempt whose answer was lost, or somebody else just now: it counts when it is what was wanted.
  const all = await api.reservedDomains.list();
  const found = all.ok ? all.value.find(({ domain }) => domain === spec.domain) : undefined;
  return found?.metadata === metadata.value ? ok(found) : made;
};

const endpointMark = ({ tenant }: ApplyPorts, spec: SiteSpec, url: string): string =>
  formatMark({ tenant, site: spec.site, name: url });

const createEndpoint = async (
  ports: ApplyPorts,
  spec: SiteSpec,
  endpoint: EndpointSpec,
): Promise<Result<{ readonly id: string }>> => {
  const { url, description, binding, pooling, policy } = endpoint;
  const metadata = endpointMark(ports, spec, url);
  const made = await ports.api.endpoints.create({
    url,
    type: 'cloud',
    traffic_policy: policy,
    description,
    metadata,
    bindings: [binding],
    pooling_enabled: pooling,
  });
  if (made.ok || !made.fault.isUncertain) return made;
  const all = await ports.api.endpoints.list();
  const found = all.ok ? all.value.find((one) => one.metadata === metadata) : undefined;
  return found === undefined ? made : ok(found);
};

const createAddress = async (
  ports: ApplyPorts,
  spec: SiteSpec,
  name: string,
): Promise<Result<{ readonly id: string }>> => {
  const metadata = formatMark({ tenant: ports.tenant, site: spec.site, name });
  const made = await ports.api.reservedAddrs.create({
    description: `site ${spec.site} ${name}`,
    metadata,
    ...(spec.region === '' ? {} : { region: spec.region }),
  });
  if (made.ok || !made.fault.isUncertain) return made;
  const all = await ports.api.reservedAddrs.list();
  const found = all.ok ? all.value.find((one) => one.metadata === metadata) : undefined;
  return found === undefined ? made : ok(found);
};

const missing = (change: Change): Result<never> =>
  failed(
    fault('INTERNAL', `The plan names ${change.kind} ${change.name}, which the site does not have.`, false),
  );

const create = (
  ports: ApplyPorts,
  spec: SiteSpec,
  change: Change,
): Promise<Result<{ readonly id: string }>> => {
  switch (change.kind) {
    case 'user':
      return ensureUser(ports.api, ports.audit, change.name);
    case 'domain':
      return createDomain(ports, spec);
    case 'address':
      return createAddress(ports, spec, change.name);
    case 'endpoint': {
      const endpoint = spec.endpoints.find(({ url }) => url === change.name);
      return endpoint === undefined
        ? Promise.resolve(missing(change))
        : createEndpoint(ports, spec, endpoint);
    }
  }
};

const update = async (
  ports: ApplyPorts,
  spec: SiteSpec,
  change: Change & { readonly action: 'update' },
): Promise<Result<unknown>> => {
  if (change.kind === 'domain') {
    const metadata = formatSiteTag({ tenant: ports.tenant, ...spec });
    if (!metadata.ok) return metadata;
    return ports.api.reservedDomains.update(change.id, {
      metadata: metadata.value,
      ...(change.fields.some(({ field }) => field === 'region')
        ? { resolves_to: [{ value: spec.region }] }
        : {}),
    });
  }
  const endpoint = spec.endpoints.find(({ url }) => url === change.name);
  if (endpoint === undefined) return missing(change);
  return ports.api.endpoints.update(change.id, {
    traffic_policy: endpoint.policy,
    description: endpoint.description,
    metadata: endpointMark(ports, spec, endpoint.url),
    bindings: [endpoint.binding],
    pooling_enabled: endpoint.pooling,
  });
};

const remove = (api: NgrokApi, change: Change & { readonly action: 'delete' }): Promise<Result<unknown>> => {
  switch (change.kind) {
    case 'user':
      return api.serviceUsers.remove(change.id);
    case 'domain':
      return api.reservedDomains.remove(change.id);
    case 'address':
      return api.reservedAddrs.remove(change.id);
    case 'endpoint':
      return api.endpoints.remove(change.id);
  }
};

const isApiFault = (f: object): f is ApiFault => 'operationId' in f;

/** Carries out one change after the other; the first that fails ends it. Running the plan anew goes on from there. */
export const applyChanges = async (
  ports: ApplyPorts,
  spec: SiteSpec | null,
  changes: readonly Change[],
): Promise<Result<void>> => {
  const { api, audit } = ports;
  for (const change of changes) {
    let done: Result<unknown>;
    if (change.action === 'delete') done = await remove(api, change);
    else if (spec === null) done = missing(change);
    else
      done =
        change.action === 'create' ? await create(ports, spec, change) : await update(ports, spec, change);
    const site = spec?.site;
    const id = 'id' in change ? change.id : done.ok ? (done.value as { readonly id: string }).id : undefined;
    // A user that is found and not made has no line of its own.
    if (change.kind !== 'user' || change.action !== 'create')
      await audit.write({
        what: change.kind === 'user' ? 'user.delete' : `${change.kind}.${change.action}`,
        ...(site === undefined ? {} : { site }),
        ...(id === undefined ? {} : { id }),
        ...(done.ok ? {} : isApiFault(done.fault) ? auditFault(done.fault) : { code: done.fault.code }),
      });
    if (!done.ok) return done;
    ports.onChange?.(change);
  }
  return ok(undefined);
};
