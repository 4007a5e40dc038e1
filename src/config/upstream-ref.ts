/** Upstream URLs: `http://`, `https://`, `tcp://`, `tls://`, each naming exactly one host and port. */
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { formatHostPort, type Host, parseHost, parsePort } from './host-port.ts';

export const UPSTREAM_SCHEMES = ['http', 'https', 'tcp', 'tls'] as const;
export type UpstreamScheme = (typeof UPSTREAM_SCHEMES)[number];

/** An upstream's address, its default port filled in. */
export interface UpstreamAddress {
  readonly scheme: UpstreamScheme;
  readonly host: Host;
  readonly port: number;
}

const DEFAULT_PORT = { http: 80, https: 443, tcp: null, tls: null } as const;
const WANTED =
  'write it like http://127.0.0.1:8080, https://192.168.7.9, tcp://192.168.7.2:502 or tls://[::1]:8443';

/** The scheme, what stands between `//` and the next `/`, and the rest. */
const SHAPE = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/is;
const AUTHORITY = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s;

const refuse = (why: string): Result<never> => failed(fault('BAD_ARGS', `${why}; ${WANTED}`, false));

const isScheme = (text: string): text is UpstreamScheme =>
  (UPSTREAM_SCHEMES as readonly string[]).includes(text);

/** True when the scheme means that the relay speaks TLS to the upstream. */
export const isTlsScheme = (scheme: UpstreamScheme): boolean => scheme === 'https' || scheme === 'tls';

/** Splits `host:port`, the port optional where the scheme has a default. Messages begin with a verb. */
const parseAuthority = (
  authority: string,
  scheme: UpstreamScheme,
): Result<Pick<UpstreamAddress, 'host' | 'port'>> => {
  if (authority.includes('@')) return refuse('must not hold a user name or password');
  const [, written = '', portText] = AUTHORITY.exec(authority) ?? [];
  if (written === '') return refuse('names no host');
  const host = parseHost(written);
  if (host === null) {
    return refuse(
      written.includes('%')
        ? 'must not hold a zone or escapes in its host'
        : 'has no valid host (a name, a dotted IPv4 address, or an IPv6 address in brackets)',
    );
  }
  const port = portText === undefined ? DEFAULT_PORT[scheme] : parsePort(portText);
  if (port !== null) return ok({ host, port });
  return refuse(
    portText === undefined ? `needs a port with ${scheme}://` : 'has a port that is not 1 to 65535',
  );
};

/**
 * Reads an upstream URL strictly. The fault's message begins with a verb ("must not …", "names no …"), so that a
 * caller can put the key's path in front, ends with the form wanted, and never repeats the text it was given.
 */
export const parseUpstreamUrl = (text: string): Result<UpstreamAddress> => {
  const [, schemeText = '', authority = '', rest = ''] = SHAPE.exec(text) ?? [];
  const scheme = schemeText.toLowerCase();
  if (scheme === '') return refuse('is not a URL');
  if (!isScheme(scheme)) return refuse('has a scheme other than http, https, tcp and tls');
  if (rest.includes('#')) return refuse('must not hold a fragment');
  const parts = parseAuthority(authority, scheme);
  if (!parts.ok) return parts;
  if (rest !== '' && rest !== '/') {
    return refuse("must not hold a path or query, since a visitor's request passes unchanged");
  }
  return ok({ scheme, ...parts.value });
};

/** The one spelling of an upstream's address; a port that the scheme implies is left out. */
export const formatUpstream = ({ scheme, host, port }: UpstreamAddress): string =>
  `${scheme}://${formatHostPort(host.text, port === DEFAULT_PORT[scheme] ? null : port)}`;

/** True for a reference that is meant as a URL; names of upstreams cannot hold what a URL needs. */
export const isUrlRef = (ref: string): boolean => ref.includes('://');
