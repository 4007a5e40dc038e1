/** What has to change so that a site is what it should be: a pure comparison of a spec with what ngrok has. */
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import type { Endpoint, ReservedAddr, ReservedDomain, ServiceUser } from '../api/index.ts';
import { parseSiteTag, type SiteTag } from './site-record.ts';
import type { EndpointSpec, SiteSpec } from './site-spec.ts';

/** An object of a site that has a name of ours in its metadata. */
export interface Named<T> {
  readonly name: string;
  readonly object: T;
}

/** What ngrok has of one site, and what stands in its way. */
export interface SiteState {
  readonly user: ServiceUser | null;
  /** Every domain that is the site's by its mark, or has the wanted name. */
  readonly domains: readonly ReservedDomain[];
  readonly addresses: readonly Named<ReservedAddr>[];
  /** Cloud endpoints that are the site's by their mark, or have a wanted URL. */
  readonly endpoints: readonly Endpoint[];
  /** URLs of the endpoints that carry the site's mark. */
  readonly ownUrls: readonly string[];
}

export interface FieldChange {
  readonly field: string;
  readonly from: string;
  readonly to: string;
}

type Kind = 'user' | 'domain' | 'address' | 'endpoint';

/** One step. `id` is ngrok's, where there is an object already. */
export type Change =
  | { readonly action: 'create'; readonly kind: Kind; readonly name: string }
  | {
      readonly action: 'update';
      readonly kind: Kind;
      readonly name: string;
      readonly id: string;
      readonly fields: readonly FieldChange[];
    }
  | { readonly action: 'delete'; readonly kind: Kind; readonly name: string; readonly id: string };

export interface SitePlan {
  /** In the order in which they are carried out. */
  readonly changes: readonly Change[];
  /** Objects of the site that the spec does not have, and that stay because nobody asked for their end. */
  readonly surplus: readonly Change[];
}

const listText = (items: readonly string[]): string => items.join('\n');

const differing = (pairs: readonly FieldChange[]): readonly FieldChange[] =>
  pairs.filter(({ from, to }) => from !== to);

const parsed = (policy: string): unknown => {
  try {
    return parse(policy);
  } catch {
    return policy;
  }
};

/** A policy says the same in YAML, in JSON, and after ngrok wrote it down in its own way. */
const policyChange = (from: string, to: string): FieldChange => ({
  field: 'policy',
  from: isDeepStrictEqual(parsed(from), parsed(to)) ? to : from,
  to,
});

const regionOf = ({ resolves_to }: ReservedDomain): string => resolves_to?.[0]?.value ?? '';

const domainFields = (spec: SiteSpec, domain: ReservedDomain, tag: SiteTag | null): readonly FieldChange[] =>
  differing([
    { field: 'site', from: tag?.site ?? '', to: spec.site },
    { field: 'acl', from: listText(tag?.acl ?? []), to: listText(spec.acl) },
    policyChange(tag?.policy ?? '', spec.policy),
    // ngrok's own choice stays when the spec has no opinion.
    ...(spec.region === '' ? [] : [{ field: 'region', from: regionOf(domain), to: spec.region }]),
  ]);

const endpointFields = (spec: EndpointSpec, endpoint: Endpoint): readonly FieldChange[] =>
  differing([
    policyChange(endpoint.traffic_policy ?? '', spec.policy),
    { field: 'description', from: endpoint.description ?? '', to: spec.description },
    { field: 'binding', from: endpoint.bindings.join('\n'), to: spec.binding },
    { field: 'pooling', from: String(endpoint.pooling_enabled === true), to: String(spec.pooling) },
  ]);

const planDomain = (spec: SiteSpec, tenant: string, state: SiteState): Result<readonly Change[]> => {
  const found = state.domains.find(({ domain }) => domain === spec.domain);
  if (found === undefined) return ok([{ action: 'create', kind: 'domain', name: spec.domain }]);
  const tag = parseSiteTag(found.metadata);
  if (tag !== null && (tag.site !== spec.site || tag.tenant !== tenant))
    return failed(
      fault('BAD_ARGS', `${spec.domain} is the domain of the site ${tag.tenant}/${tag.site} already.`, false),
    );
  const fields = domainFields(spec, found, tag);
  return ok(
    fields.length === 0
      ? []
      : [{ action: 'update', kind: 'domain', name: spec.domain, id: found.id, fields }],
  );
};

const planEndpoint = (spec: EndpointSpec, state: SiteState): readonly Change[] => {
  const found = state.endpoints.find(({ url }) => url === spec.url);
  if (found === undefined) return [{ action: 'create', kind: 'endpoint', name: spec.url }];
  const fields = endpointFields(spec, found);
  // One that was made by hand is taken over even when nothing else differs.
  const adopted = state.ownUrls.includes(spec.url) ? [] : [{ field: 'site', from: '', to: 'this one' }];
  const all = [...adopted, ...fields];
  return all.length === 0
    ? []
    : [{ action: 'update', kind: 'endpoint', name: spec.url, id: found.id, fields: all }];
};

/** Compares. `BAD_ARGS` when the domain is another site's. */
export const planSite = (
  spec: SiteSpec,
  tenant: string,
  state: SiteState,
  isPruning: boolean,
): Result<SitePlan> => {
  const domain = planDomain(spec, tenant, state);
  if (!domain.ok) return domain;
  const user: readonly Change[] =
    spec.user && state.user === null ? [{ action: 'create', kind: 'user', name: spec.site }] : [];
  const known = state.addresses.map(({ name }) => name);
  const addresses = spec.addresses
    .filter((name) => !known.includes(name))
    .map((name): Change => ({ action: 'create', kind: 'address', name }));
  const endpoints = spec.endpoints.flatMap((endpoint) => planEndpoint(endpoint, state));

  const wantedUrls = spec.endpoints.map(({ url }) => url);
  const surplus: readonly Change[] = [
    ...state.endpoints
      .filter(({ url }) => state.ownUrls.includes(url) && !wantedUrls.includes(url))
      .map(({ url, id }): Change => ({ action: 'delete', kind: 'endpoint', name: url, id })),
    ...state.addresses
      .filter(({ name }) => !spec.addresses.includes(name))
      .map(({ name, object }): Change => ({ action: 'delete', kind: 'address', name, id: object.id })),
    ...state.domains
      .filter((one) => one.domain !== spec.domain)
      .map((one): Change => ({ action: 'delete', kind: 'domain', name: one.domain, id: one.id })),
  ];
  const wanted = [...user, ...domain.value, ...addresses, ...endpoints];
  return ok(isPruning ? { changes: [...wanted, ...surplus], surplus: [] } : { changes: wanted, surplus });
};

/** Everything of a site, to be deleted: what uses the domain goes before it. */
export const planDeletion = (state: SiteState): readonly Change[] => [
  ...state.endpoints
    .filter(({ url }) => state.ownUrls.includes(url))
    .map(({ url, id }): Change => ({ action: 'delete', kind: 'endpoint', name: url, id })),
  ...state.addresses.map(
    ({ name, object }): Change => ({ action: 'delete', kind: 'address', name, id: object.id }),
  ),
  ...state.domains.map(({ domain, id }): Change => ({ action: 'delete', kind: 'domain', name: domain, id })),
  ...(state.user === null
    ? []
    : [{ action: 'delete' as const, kind: 'user' as const, name: state.user.name, id: state.user.id }]),
];
