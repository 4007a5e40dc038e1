/** All routes of the stand-in. */
import { apiKeyRoutes } from './resources/api-keys.ts';
import { certificateRoutes } from './resources/certificates.ts';
import { credentialRoutes } from './resources/credentials.ts';
import { endpointRoutes } from './resources/endpoints.ts';
import { eventRoutes } from './resources/events.ts';
import { ipPolicyRoutes } from './resources/ip-policies.ts';
import { reservedAddrRoutes } from './resources/reserved-addrs.ts';
import { reservedDomainRoutes } from './resources/reserved-domains.ts';
import { serviceUserRoutes } from './resources/service-users.ts';
import { tunnelSessionRoutes } from './resources/tunnel-sessions.ts';
import { vaultRoutes } from './resources/vaults.ts';
import type { Route } from './route.ts';
import type { World } from './world.ts';

export const allRoutes = (world: World): readonly Route[] => [
  ...serviceUserRoutes(world),
  ...credentialRoutes(world),
  ...apiKeyRoutes(world),
  ...reservedDomainRoutes(world),
  ...reservedAddrRoutes(world),
  ...endpointRoutes(world),
  ...tunnelSessionRoutes(world),
  ...eventRoutes(world),
  ...ipPolicyRoutes(world),
  ...vaultRoutes(world),
  ...certificateRoutes(world),
];

export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

const matchPath = (pattern: string, segments: readonly string[]): Record<string, string> | null => {
  const parts = pattern.split('/');
  if (parts.length !== segments.length) return null;
  const params: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    const segment = segments[index] ?? '';
    if (part.startsWith(':')) params[part.slice(1)] = segment;
    else if (part !== segment) return null;
  }
  return params;
};

/** The route for a method and a path without its leading slash, or null. */
export const findRoute = (routes: readonly Route[], method: string, path: string): Match | null => {
  const segments = path.split('/');
  for (const route of routes) {
    const params = route.method === method ? matchPath(route.path, segments) : null;
    if (params) return { route, params };
  }
  return null;
};
