/** Endpoints as the file or a desired document declares them, turned into specs and binds by the device's own rules. */
import type { BindSpec, EndpointSpec } from '../core/endpoint.ts';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { parseWindow } from '../core/window.ts';
import type { DesiredEndpoint } from '../protocol/desired-schema.ts';
import type { Config, EndpointConfig } from './config.ts';
import { normaliseEndpointUrl } from './endpoint-url.ts';
import type { PolicyTexts } from './policies.ts';
import { resolveUpstream } from './resolve-upstream.ts';

/** Puts the endpoint's name before a fault whose message begins with a verb. */
const about = (key: string, { code, message, ...rest }: Parameters<typeof failed>[0]) =>
  failed({ code, message: `${key} ${message}`, ...rest });

/** Fills in the URL's one spelling and the binding that follows from it, and checks the windows. */
const finish = (spec: EndpointSpec): Result<EndpointSpec> => {
  const url = normaliseEndpointUrl(spec.proto, spec.url, spec.binding);
  if (!url.ok) return about(`url of ${spec.name}`, url.fault);
  for (const text of spec.windows) {
    const window = parseWindow(text);
    if (!window.ok) return about(`window of ${spec.name}`, window.fault);
  }
  return ok({ ...spec, ...url.value });
};

/** The spec of an endpoint of the configuration file. Fails only for one that `loadConfig` would have refused. */
export const endpointFromConfig = (endpoint: EndpointConfig): Result<EndpointSpec> =>
  finish({ ...endpoint, ttlS: 0, origin: 'file' });

/**
 * The spec of an endpoint of a desired document, defaults filled in as in the file. `UPSTREAM_DENIED` when the device
 * does not have or allow the upstream, `UNKNOWN_POLICY`, `BAD_ARGS` for a URL or window that will not do. What the
 * document leaves out is the default, not what the file says of an endpoint of that name.
 */
export const endpointFromDocument = (endpoint: DesiredEndpoint, config: Config): Result<EndpointSpec> => {
  const spec = finish({
    name: endpoint.name,
    proto: endpoint.proto,
    upstream: endpoint.upstream,
    url: endpoint.url ?? '',
    on: endpoint.on,
    policy: endpoint.policy ?? '',
    binding: endpoint.binding ?? 'public',
    metadata: endpoint.metadata ?? '',
    pooling: true,
    metering: endpoint.metering ?? 'on',
    idleCloseS: endpoint.idle_s ?? 0,
    windows: endpoint.windows ?? [],
    ttlS: endpoint.ttl_s ?? 0,
    origin: 'document',
  });
  if (!spec.ok) return spec;
  const upstream = resolveUpstream(config, endpoint.upstream);
  if (!upstream.ok) return upstream;
  return hasPolicy(config.policies, spec.value.policy) ? spec : unknownPolicy(spec.value);
};

const hasPolicy = (policies: Readonly<Record<string, unknown>>, name: string): boolean =>
  name === '' || Object.hasOwn(policies, name);

const unknownPolicy = ({ name, policy }: EndpointSpec): Result<never> =>
  failed(
    fault(
      'UNKNOWN_POLICY',
      `Endpoint ${name} names the policy ${policy}, which this device does not have.`,
      false,
    ),
  );

/** What the tunnel is told: upstream and policy looked up on the device. `UPSTREAM_DENIED` or `UNKNOWN_POLICY`. */
export const bindFromSpec = (
  spec: EndpointSpec,
  config: Config,
  policyTexts: PolicyTexts,
): Result<Omit<BindSpec, 'closesAtMs'>> => {
  const upstream = resolveUpstream(config, spec.upstream);
  if (!upstream.ok) return upstream;
  if (!hasPolicy(policyTexts, spec.policy)) return unknownPolicy(spec);
  const { name, proto, url, binding, metadata, pooling, metering } = spec;
  return ok({
    name,
    proto,
    url,
    binding,
    metadata,
    pooling,
    metering,
    policy: spec.policy === '' ? '' : (policyTexts[spec.policy] ?? ''),
    upstream: upstream.value,
  });
};
