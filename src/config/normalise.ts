/** From a checked configuration to the effective one: one spelling for hosts, absolute paths, nothing left implied. */
import { join } from 'node:path';
import type { Config, EndpointConfig } from './config.ts';
import { normaliseEndpointUrl } from './endpoint-url.ts';
import { mapPaths, ROOT } from './schema-keys.ts';
import { absolutePath } from './text-file.ts';
import { formatUpstream, isUrlRef, parseUpstreamUrl } from './upstream-ref.ts';

/** Scheme and host in lower case; a path (WebSocket brokers have one) stays as it is. */
const lowerHost = (url: string): string => url.replace(/^[^/]*\/\/[^/?#]*/, (start) => start.toLowerCase());

const oneSpelling = (url: string): string => {
  const address = parseUpstreamUrl(url);
  return address.ok ? formatUpstream(address.value) : url;
};

const normaliseEndpoint = (endpoint: EndpointConfig): EndpointConfig => {
  const url = normaliseEndpointUrl(endpoint.proto, endpoint.url, endpoint.binding);
  return {
    ...endpoint,
    upstream: isUrlRef(endpoint.upstream) ? oneSpelling(endpoint.upstream) : endpoint.upstream,
    ...(url.ok ? url.value : {}),
  };
};

const deepFreeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
};

/** Makes the effective configuration, frozen. Relative paths count from `baseDir`. */
export const normalise = (checked: Config, baseDir: string): Config => {
  const config = mapPaths(ROOT, checked, (path) => absolutePath(path, baseDir)) as Config;
  return deepFreeze({
    ...config,
    mqtt: { ...config.mqtt, url: lowerHost(config.mqtt.url) },
    ngrok: { ...config.ngrok, serverAddr: config.ngrok.serverAddr.toLowerCase() },
    upstreams: Object.fromEntries(
      Object.entries(config.upstreams).map(([name, upstream]) => [
        name,
        { ...upstream, url: oneSpelling(upstream.url), serverName: upstream.serverName.toLowerCase() },
      ]),
    ),
    allowUpstreams: config.allowUpstreams.map((entry) => entry.toLowerCase()),
    endpoints: config.endpoints.map(normaliseEndpoint),
    lockFile: config.lockFile === '' ? join(config.stateDir, 'lock') : config.lockFile,
    http: { ...config.http, listen: config.http.listen.toLowerCase() },
  });
};
