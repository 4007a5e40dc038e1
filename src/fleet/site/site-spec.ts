/** What a site should be: read from a file (YAML or JSON), or made from the words of `site create`. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Type } from 'typebox';
import { parseDocument } from 'yaml';
import { readTextFile } from '../../config/text-file.ts';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { checker } from '../../protocol/validate.ts';
import { checkAcl } from '../acl.ts';
import type { Binding } from '../api/index.ts';
import { isSiteName } from './site-record.ts';

/** A cloud endpoint of the site, always on, with its policy. */
export interface EndpointSpec {
  readonly url: string;
  readonly description: string;
  readonly binding: Binding;
  readonly pooling: boolean;
  /** Traffic policy, YAML or JSON text. */
  readonly policy: string;
}

export interface SiteSpec {
  readonly site: string;
  /** A wildcard, or one name. */
  readonly domain: string;
  /** Region that the domain resolves to; empty leaves it to ngrok. */
  readonly region: string;
  /** Whether the site has a service user of its own. */
  readonly user: boolean;
  /** Default ACL of the devices. */
  readonly acl: readonly string[];
  /** Default traffic policy of the devices' endpoints; empty for none. */
  readonly policy: string;
  /** Reserved TCP addresses, by a name of ours. */
  readonly addresses: readonly string[];
  readonly endpoints: readonly EndpointSpec[];
}

const CLOSED = { additionalProperties: false } as const;
const text = Type.Optional(Type.String());
const policy = { policy: text, policyFile: text };

const checkFile = checker(
  Type.Object(
    {
      v: Type.Optional(Type.Literal(1)),
      site: Type.String(),
      domain: Type.String(),
      region: text,
      user: Type.Optional(Type.Boolean()),
      acl: Type.Optional(Type.Array(Type.String())),
      ...policy,
      addresses: Type.Optional(Type.Array(Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' }))),
      endpoints: Type.Optional(
        Type.Array(
          Type.Object(
            {
              url: Type.String({ pattern: '^(https?|tls|tcp)://[^/?#@]+$' }),
              description: text,
              binding: Type.Optional(Type.Enum(['public', 'internal', 'kubernetes'])),
              pooling: Type.Optional(Type.Boolean()),
              ...policy,
            },
            CLOSED,
          ),
        ),
      ),
    },
    CLOSED,
  ),
);

const bad = (message: string) => failed(fault('BAD_ARGS', message, false));

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const DOMAIN = new RegExp(`^(?:\\*\\.)?${LABEL}(?:\\.${LABEL})+$`);

/** What devices of a site may bind unless it says otherwise: names under its domain, and its own internal names. */
export const defaultAcl = (site: string, domain: string): readonly string[] => [
  `bind:${domain}`,
  `bind:*.${site}.internal`,
];

/** A YAML or JSON mapping, or what is wrong with it. */
const policyProblem = (where: string, content: string): string | null => {
  const document = parseDocument(content, { prettyErrors: true, logLevel: 'silent' });
  const [error] = document.errors;
  const at = error?.linePos?.[0];
  if (error !== undefined)
    return `${where} is not YAML or JSON${at === undefined ? '' : `: line ${at.line}, column ${at.col}`}`;
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? null
      : `${where} must hold a mapping with on_http_request or the like`;
  } catch {
    return `${where} repeats itself by aliases too often`;
  }
};

/** Checks a policy text; empty is none. */
export const checkPolicy = (where: string, content: string): Result<string> => {
  const why = content.trim() === '' ? null : policyProblem(where, content);
  return why === null ? ok(content.trim() === '' ? '' : content) : bad(`${why}.`);
};

/** Checks what the schema cannot and fills in the defaults. */
export const siteSpec = (given: {
  readonly site: string;
  readonly domain: string;
  readonly region?: string;
  readonly user?: boolean;
  readonly acl?: readonly string[];
  readonly policy?: string;
  readonly addresses?: readonly string[];
  readonly endpoints?: readonly EndpointSpec[];
}): Result<SiteSpec> => {
  const { site } = given;
  const domain = given.domain.toLowerCase();
  if (!isSiteName(site)) return bad('A site is named by a-z, 0-9 and -, at most 63.');
  if (!DOMAIN.test(domain))
    return bad(`${given.domain.slice(0, 80)} is no domain; a wildcard is the whole first label: *.NAME.`);
  const acl = checkAcl(given.acl ?? defaultAcl(site, domain));
  if (!acl.ok) return acl;
  const endpoints = given.endpoints ?? [];
  const urls = endpoints.map(({ url }) => url.toLowerCase());
  const twice = urls.find((url, i) => urls.indexOf(url) !== i);
  if (twice !== undefined) return bad(`The endpoint ${twice} is there twice.`);
  const addresses = given.addresses ?? [];
  const doubled = addresses.find((name, i) => addresses.indexOf(name) !== i);
  if (doubled !== undefined) return bad(`The address ${doubled} is there twice.`);
  return ok({
    site,
    domain,
    region: given.region ?? '',
    user: given.user ?? true,
    acl: acl.value,
    policy: given.policy ?? '',
    addresses,
    endpoints: endpoints.map((endpoint) => ({ ...endpoint, url: endpoint.url.toLowerCase() })),
  });
};

const MAX_BYTES = 262_144;

const readPolicy = async (
  where: string,
  of: { readonly policy?: string; readonly policyFile?: string },
  baseDir: string,
): Promise<Result<string>> => {
  if (of.policy !== undefined && of.policyFile !== undefined)
    return bad(`${where} has policy and policyFile; it takes one of them.`);
  if (of.policyFile === undefined) return checkPolicy(`${where}.policy`, of.policy ?? '');
  const path = resolve(baseDir, of.policyFile);
  const file = await readTextFile(readFile, path, MAX_BYTES);
  return file.ok ? checkPolicy(path, file.text) : bad(`${where}.policyFile: ${file.problem}.`);
};

/** Reads a site file. `BAD_ARGS` names the file and the place. */
export const readSiteFile = async (path: string): Promise<Result<SiteSpec>> => {
  const file = await readTextFile(readFile, path, MAX_BYTES);
  if (!file.ok) return bad(`${file.problem}.`);
  const why = policyProblem(path, file.text);
  if (why !== null) return bad(`${why.replace(/ with on_http_request or the like$/, '')}.`);
  const checked = checkFile(parseDocument(file.text).toJS({ maxAliasCount: 100 }));
  if (!checked.ok) return bad(`${path}: ${checked.message.replace(/^message /, '')}.`);
  const { endpoints = [], ...rest } = checked.value;
  const baseDir = dirname(resolve(path));
  const own = await readPolicy('site', rest, baseDir);
  if (!own.ok) return own;
  const specs: EndpointSpec[] = [];
  for (const [i, endpoint] of endpoints.entries()) {
    const read = await readPolicy(`endpoints[${i}]`, endpoint, baseDir);
    if (!read.ok) return read;
    const { url, description = '', pooling = false } = endpoint;
    const isInternal = /^[a-z]+:\/\/[^/]*\.internal(:\d+)?$/i.test(url);
    const binding = endpoint.binding ?? (isInternal ? 'internal' : 'public');
    specs.push({ url, description, binding, pooling, policy: read.value });
  }
  return siteSpec({
    site: rest.site,
    domain: rest.domain,
    ...(rest.region === undefined ? {} : { region: rest.region }),
    ...(rest.user === undefined ? {} : { user: rest.user }),
    ...(rest.acl === undefined ? {} : { acl: rest.acl }),
    ...(rest.addresses === undefined ? {} : { addresses: rest.addresses }),
    policy: own.value,
    endpoints: specs,
  });
};
