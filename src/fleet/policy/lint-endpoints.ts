/** Endpoints of a device's configuration that show what nobody should see. Pure. */
import type { Finding } from './lint-finding.ts';

/** An endpoint of a device's configuration, as far as the lint looks at it. */
export interface ExposedEndpoint {
  readonly name: string;
  readonly url: string;
  readonly upstream: string;
  readonly policy: string;
  readonly binding: string;
}

/** The agent's own API, which has no authentication. */
const AGENT_API_PORT = '4040';

/** Left out, the port is a guess: 80 or 443 for http, and none at all for anything else. */
const UPSTREAM = /^(?:(?<scheme>[a-z][a-z0-9+.-]*):\/\/)?(?:\[[^\]]+\]|[^/:[\]]+)(?<port>:\d+)?(?:\/.*)?$/i;

/** What to say of an upstream without port; null when it has one. */
export const portFinding = (upstream: string, at: string): Finding | null => {
  const parts = UPSTREAM.exec(upstream)?.groups;
  if (parts === undefined || parts['port'] !== undefined) return null;
  const hasDefault = /^https?$/i.test(parts['scheme'] ?? '');
  return {
    code: 'UPSTREAM_PORT',
    severity: hasDefault ? 'warning' : 'error',
    at,
    message: `The upstream ${upstream} has no port${hasDefault ? `: ${parts['scheme'] === 'https' ? 443 : 80} is taken. Write it` : ': write scheme, host and port'}.`,
  };
};

/** Endpoints that show what nobody should see without a policy in front, or lead to a port that nobody named. */
export const lintEndpoints = (endpoints: readonly ExposedEndpoint[], ownListen: string): readonly Finding[] =>
  endpoints.flatMap(({ name, url, upstream, policy, binding }): readonly Finding[] => {
    const port = /:(\d+)(?:\/|$)/.exec(upstream)?.[1];
    const isLocal = /\/\/(localhost|127\.|\[::1\])/.test(upstream);
    const isInternal = binding === 'internal' || /\.internal(:\d+)?$/.test(url);
    const isOwn = ownListen !== '' && upstream.includes(ownListen);
    const isAgent = isLocal && port === AGENT_API_PORT;
    const withoutPort = portFinding(upstream, name);
    return [
      ...(withoutPort === null ? [] : [withoutPort]),
      ...((isAgent || isOwn) && policy === ''
        ? [
            {
              code: 'LOCAL_API',
              severity: 'error',
              at: name,
              message: `It opens ${isAgent ? "the agent's own API, which asks nobody who he is," : "the device's own status page"} ${isInternal ? 'to the whole account' : 'to everybody'}: give it a policy, or take it away.`,
            } as const,
          ]
        : []),
    ];
  });
