/** Where an endpoint is: what decides whether two of them meet. */
import type { EdgeEndpoint, Refusal } from '../../contract.ts';
import type { BindTarget } from '../acl.ts';
import type { Shown } from '../route.ts';
import { rowList, rowText } from '../rows.ts';
import type { World } from '../world.ts';
import { type EndpointUrl, parseEndpointUrl } from './endpoint-url.ts';

/** The parts of a URL as the API shows them. */
export const placeOf = (url: EndpointUrl): Shown => ({
  proto: url.scheme,
  scheme: url.scheme,
  host: url.host,
  port: url.port,
  hostport: `${url.host}:${url.port}`,
});

export const DEFAULT_PORTS: Readonly<Record<EdgeEndpoint['proto'], number>> = {
  http: 80,
  https: 443,
  tls: 443,
  tcp: 0,
};

const DEFAULT_PORT_OF: ReadonlyMap<string, number> = new Map(Object.entries(DEFAULT_PORTS));

/** Where an agent's endpoint is for conflicts: the port of the sandbox's front end in its URL does not count. */
export const agentPlace = (endpoint: EdgeEndpoint): string =>
  `${endpoint.proto}://${endpoint.host}:${endpoint.port ?? DEFAULT_PORTS[endpoint.proto]} ${endpoint.binding}`;
export const cloudPlace = (url: EndpointUrl, binding: string): string =>
  `${url.scheme}://${url.host}:${url.port} ${binding}`;

/** 334 for an agent on the URL of a cloud endpoint without pooling; whether the agent pools is the edge's to check. */
export const cloudRefusal = (world: World, target: BindTarget): Refusal | null => {
  const port = target.port ?? DEFAULT_PORT_OF.get(target.proto) ?? 0;
  const url: EndpointUrl = { scheme: target.proto, host: target.host.toLowerCase(), port };
  const place = cloudPlace(url, url.host.endsWith('.internal') ? 'internal' : 'public');
  const isTaken = world
    .rows('endpoints')
    .all()
    .some((row) => {
      const other = parseEndpointUrl(rowText(row, 'url'));
      return (
        row.values['pooling_enabled'] !== true &&
        other !== null &&
        cloudPlace(other, rowList(row, 'bindings')[0] ?? '') === place
      );
    });
  return isTaken
    ? { code: 'ERR_NGROK_334', message: `The endpoint on ${url.host} is already online as a cloud endpoint.` }
    : null;
};
