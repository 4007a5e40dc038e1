/** Endpoints of a device's configuration that show what nobody should see. Pure. */
import type { Finding } from './lint.ts';

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

/** Endpoints that show what nobody should see without a policy in front. */
export const lintEndpoints = (endpoints: readonly ExposedEndpoint[], ownListen: string): readonly Finding[] =>
  endpoints.flatMap(({ name, url, upstream, policy, binding }): readonly Finding[] => {
    const port = /:(\d+)(?:\/|$)/.exec(upstream)?.[1];
    const isLocal = /\/\/(localhost|127\.|\[::1\])/.test(upstream);
    const isInternal = binding === 'internal' || /\.internal(:\d+)?$/.test(url);
    const isOwn = ownListen !== '' && upstream.includes(ownListen);
    const isAgent = isLocal && port === AGENT_API_PORT;
    return (isAgent || isOwn) && policy === ''
      ? [
          {
            code: 'LOCAL_API',
            severity: 'error',
            at: name,
            message: `It opens ${isAgent ? "the agent's own API, which asks nobody who he is," : "the device's own status page"} ${isInternal ? 'to the whole account' : 'to everybody'}: give it a policy, or take it away.`,
          },
        ]
      : [];
  });
