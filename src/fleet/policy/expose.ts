/** Cloud endpoints in front of devices: always there, with the policy, forwarding to what the device opens inside. */
import { Type } from 'typebox';
import { isRecord, parseStrictJson } from '../../protocol/strict-json.ts';
import { checker } from '../../protocol/validate.ts';
import type { ApiResult, CloudEndpointPatch, Endpoint, NgrokApi } from '../api/index.ts';
import { type AuditLog, auditFault } from '../audit-log.ts';

/** What the metadata of such an endpoint says. */
export interface ExposedTag {
  readonly tenant: string;
  readonly device: string;
  readonly endpoint: string;
  /** Internal URL that it forwards to. */
  readonly target: string;
}

export interface Exposed {
  readonly id: string;
  readonly url: string;
  readonly policy: string;
  /** Null when it was not made by us. */
  readonly tag: ExposedTag | null;
}

const checkTag = checker(
  Type.Object({
    lk: Type.Literal(1),
    kind: Type.Literal('exposed'),
    tenant: Type.String(),
    device: Type.String(),
    endpoint: Type.String(),
    target: Type.String(),
  }),
);

const tagOf = (metadata: string): ExposedTag | null => {
  const json = parseStrictJson(metadata);
  const checked = json.ok && isRecord(json.value) ? checkTag(json.value) : null;
  if (checked?.ok !== true) return null;
  const { tenant, device, endpoint, target } = checked.value;
  return { tenant, device, endpoint, target };
};

const exposedOf = ({ id, url, traffic_policy, metadata }: Endpoint): Exposed => ({
  id,
  url,
  policy: traffic_policy ?? '',
  tag: tagOf(metadata ?? ''),
});

/** URLs are compared without a port that their scheme implies. */
export const sameUrl = (a: string, b: string): boolean => {
  const plain = (url: string): string =>
    url
      .toLowerCase()
      .replace(/\/$/, '')
      .replace(/^(https|tls)(:.*):443$/, '$1$2')
      .replace(/^(http:.*):80$/, '$1');
  return plain(a) === plain(b);
};

/** All cloud endpoints of the account. */
export const listExposed = async (
  api: Pick<NgrokApi, 'endpoints'>,
): Promise<ApiResult<readonly Exposed[]>> => {
  const listed = await api.endpoints.list();
  return listed.ok
    ? { ok: true, value: listed.value.filter(({ type }) => type === 'cloud').map(exposedOf) }
    : listed;
};

export interface ExposePorts {
  readonly api: Pick<NgrokApi, 'endpoints'>;
  readonly audit: AuditLog;
}

const aboutOf = ({ device }: ExposedTag) => ({ device });

/** Makes the endpoint. */
export const createExposed = async (
  { api, audit }: ExposePorts,
  url: string,
  policy: string,
  tag: ExposedTag,
): Promise<ApiResult<string>> => {
  const made = await api.endpoints.create({
    type: 'cloud',
    url,
    traffic_policy: policy,
    bindings: ['public'],
    pooling_enabled: false,
    description: `lockkeeper ${tag.tenant}/${tag.device} ${tag.endpoint}`.slice(0, 255),
    metadata: JSON.stringify({ lk: 1, kind: 'exposed', ...tag }),
  });
  await audit.write({
    what: 'endpoint.create',
    ...aboutOf(tag),
    ...(made.ok ? { id: made.value.id } : auditFault(made.fault)),
  });
  return made.ok ? { ok: true, value: made.value.id } : made;
};

/** Changes its policy, and where it says that it goes. */
export const updateExposed = async (
  { api, audit }: ExposePorts,
  id: string,
  policy: string,
  tag: ExposedTag | null,
): Promise<ApiResult<void>> => {
  const patch: CloudEndpointPatch = {
    traffic_policy: policy,
    ...(tag === null ? {} : { metadata: JSON.stringify({ lk: 1, kind: 'exposed', ...tag }) }),
  };
  const done = await api.endpoints.update(id, patch);
  await audit.write({
    what: 'endpoint.update',
    id,
    ...(tag === null ? {} : aboutOf(tag)),
    ...(done.ok ? {} : auditFault(done.fault)),
  });
  return done.ok ? { ok: true, value: undefined } : done;
};

/** Takes it away: nobody reaches the device by this name any more. */
export const removeExposed = async (
  { api, audit }: ExposePorts,
  { id, tag }: Exposed,
): Promise<ApiResult<void>> => {
  const gone = await api.endpoints.remove(id);
  await audit.write({
    what: 'endpoint.delete',
    id,
    ...(tag === null ? {} : aboutOf(tag)),
    ...(gone.ok ? {} : auditFault(gone.fault)),
  });
  return gone.ok ? { ok: true, value: undefined } : gone;
};
