import type { EdgeEndpoint, EdgeState } from '../contract.ts';

/** The name in a Host header: lower case, without port and without the dot at the end. */
export const hostName = (header: string): string => {
  const host = header.trim().toLowerCase();
  const bare = host.startsWith('[') ? host.replace(/\]:\d*$/, ']') : host.replace(/:\d*$/, '');
  return bare.endsWith('.') ? bare.slice(0, -1) : bare;
};

const publicOf = (members: readonly EdgeEndpoint[]): readonly EdgeEndpoint[] =>
  members.every((member) => member.binding === 'public')
    ? members
    : members.filter((member) => member.binding === 'public');

/** Who serves this name on the HTTP (`http`) or HTTPS port; plain HTTP falls back to the https endpoint of the name. */
export const httpMembers = (
  edge: EdgeState,
  scheme: 'http' | 'https',
  host: string,
): readonly EdgeEndpoint[] => {
  if (scheme === 'https') return publicOf(edge.members('https', host));
  const own = publicOf(edge.members('http', host));
  return own.length > 0 ? own : publicOf(edge.members('https', host));
};

/** The tls endpoints of this name that the public can reach. */
export const tlsMembers = (edge: EdgeState, host: string): readonly EdgeEndpoint[] =>
  publicOf(edge.members('tls', host));

/** The tcp endpoints of this port that the public can reach. */
export const tcpMembers = (edge: EdgeState, port: number): readonly EdgeEndpoint[] =>
  publicOf(edge.tcpMembers(port));

/** One member of a pool, each with the same chance; undefined of an empty one. */
export const pick = (members: readonly EdgeEndpoint[], random: () => number): EdgeEndpoint | undefined =>
  members.length <= 1 ? members[0] : members[Math.floor(random() * members.length)];
