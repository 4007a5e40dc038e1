/**
 * A site as ngrok knows it: a reserved wildcard domain, whose metadata carries what every device of the site gets. A
 * service user has no metadata, so the domain is the one place that every operator's machine can read.
 */
import { Type } from 'typebox';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { isRecord, parseStrictJson } from '../../protocol/strict-json.ts';
import { checker } from '../../protocol/validate.ts';
import type { ApiResult, NgrokApi, ReservedDomain } from '../api/index.ts';

/** What the domain's metadata says. */
export interface SiteTag {
  readonly tenant: string;
  readonly site: string;
  /** Default ACL of the site's devices. */
  readonly acl: readonly string[];
  /** Text of the traffic policy for endpoints that name none; empty for none. */
  readonly policy: string;
}

export interface SiteRecord {
  readonly domain: ReservedDomain;
  readonly tag: SiteTag;
}

const checkTag = checker(
  Type.Object({
    lk: Type.Literal(1),
    tenant: Type.String(),
    site: Type.String(),
    acl: Type.Array(Type.String()),
    policy: Type.String(),
  }),
);

const SITE_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
export const isSiteName = (text: string): boolean => SITE_NAME.test(text);

/** ngrok's own limit. */
const MAX_METADATA_BYTES = 4096;

/** The metadata text; `BAD_ARGS` when the policy makes it longer than ngrok takes. */
export const formatSiteTag = ({ tenant, site, acl, policy }: SiteTag): Result<string> => {
  const text = JSON.stringify({ lk: 1, tenant, site, acl, policy });
  return Buffer.byteLength(text) <= MAX_METADATA_BYTES
    ? ok(text)
    : failed(
        fault(
          'BAD_ARGS',
          `Rules and policy of the site are longer than ngrok keeps (${MAX_METADATA_BYTES} bytes); put the policy into the devices' configuration instead.`,
          false,
        ),
      );
};

/** Reads a domain's metadata; null when it is no site of ours. */
export const parseSiteTag = (metadata: string): SiteTag | null => {
  const json = parseStrictJson(metadata);
  const checked = json.ok && isRecord(json.value) ? checkTag(json.value) : null;
  if (checked?.ok !== true) return null;
  const { tenant, site, acl, policy } = checked.value;
  return { tenant, site, acl, policy };
};

/** All sites of a tenant, by name. */
export const listSites = async (
  api: Pick<NgrokApi, 'reservedDomains'>,
  tenant: string,
): Promise<ApiResult<readonly SiteRecord[]>> => {
  const domains = await api.reservedDomains.list();
  if (!domains.ok) return domains;
  const sites = domains.value.flatMap((domain) => {
    const tag = parseSiteTag(domain.metadata);
    return tag?.tenant === tenant ? [{ domain, tag }] : [];
  });
  return { ok: true, value: sites.sort((a, b) => (a.tag.site < b.tag.site ? -1 : 1)) };
};

/** The site of this name; `BAD_ARGS` when there is none. */
export const findSite = async (
  api: Pick<NgrokApi, 'reservedDomains'>,
  tenant: string,
  name: string,
): Promise<Result<SiteRecord>> => {
  const sites = await listSites(api, tenant);
  if (!sites.ok) return sites;
  const found = sites.value.find(({ tag }) => tag.site === name);
  return found === undefined
    ? failed(
        fault('BAD_ARGS', `There is no site ${name.slice(0, 63)}: lockkeeper site create makes one.`, false),
      )
    : ok(found);
};
