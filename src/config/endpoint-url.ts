/** Public endpoint URLs: checked against the endpoint's protocol and written in one spelling. */
import type { Binding, Proto } from '../core/endpoint.ts';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { formatHostPort, type Host, parseHost, parsePort } from './host-port.ts';

/** A URL in its one spelling, and how it must be bound. Empty stays empty: ngrok chooses. */
export interface EndpointUrl {
  readonly url: string;
  readonly binding: Binding;
}

const FORMS: Readonly<Record<Proto, { readonly schemes: readonly string[]; readonly wanted: string }>> = {
  http: { schemes: ['https', 'http'], wanted: 'https://NAME or http://NAME' },
  tls: { schemes: ['tls'], wanted: 'tls://NAME' },
  tcp: { schemes: ['tcp'], wanted: 'tcp://HOST:PORT' },
};
/** Ports that say nothing, since the scheme means them already. */
const IMPLIED_PORT: Readonly<Record<string, number>> = { https: 443, http: 80, tls: 443 };

const SHAPE = /^([a-z]+):\/\/(\*\.)?(\[[^\]]*\]|[^:/?#@[\]]+)(?::(\d+))?\/?$/i;

const isInternalName = (host: string): boolean => host === 'internal' || host.endsWith('.internal');

/** A host that may stand in this protocol's URL: web and tls endpoints are told apart by name, tcp ones by port. */
const hostFits = (host: Host | null, proto: Proto): host is Host =>
  host !== null && (host.kind === 'name' || proto === 'tcp');

/**
 * Checks `url` against `proto`, lower-cases its host, drops a port that the scheme implies, and gives the binding:
 * names under `.internal` bind `internal`, whatever was asked for. The fault's message begins with a verb.
 */
export const normaliseEndpointUrl = (proto: Proto, url: string, binding: Binding): Result<EndpointUrl> => {
  const { schemes, wanted } = FORMS[proto];
  const refuse = (why: string): Result<never> =>
    failed(fault('BAD_ARGS', `${why}; proto ${proto} takes ${wanted}, or empty for a random one`, false));
  if (url === '') {
    return binding === 'internal'
      ? refuse('must be a name under .internal for binding internal')
      : ok({ url, binding });
  }
  const [, schemeText = '', wildcard = '', hostText = '', portText] = SHAPE.exec(url) ?? [];
  const scheme = schemeText.toLowerCase();
  if (scheme === '') return refuse('is not a URL with a host and nothing after it');
  if (!schemes.includes(scheme)) return refuse(`has the scheme ${scheme}`);
  const host = parseHost(hostText);
  if (!hostFits(host, proto) || (wildcard !== '' && proto === 'tcp')) return refuse('has no valid host name');
  const port = portText === undefined ? null : parsePort(portText);
  if (port === null && (portText !== undefined || proto === 'tcp'))
    return refuse('needs a port from 1 to 65535');
  if (port !== null && proto !== 'tcp' && port !== IMPLIED_PORT[scheme])
    return refuse(`has the port ${port}`);
  const name = `${wildcard}${host.text}`;
  const isInternal = host.kind === 'name' && isInternalName(host.text);
  if (binding === 'internal' && !isInternal)
    return refuse('must be a name under .internal for binding internal');
  return ok({
    url: `${scheme}://${proto === 'tcp' && port !== null ? formatHostPort(name, port) : name}`,
    binding: isInternal ? 'internal' : 'public',
  });
};

/** The lower-case host of an endpoint URL, wanted or reported; null when there is none. */
export const endpointHost = (url: string): string | null => {
  const [, , wildcard = '', host = ''] = SHAPE.exec(url) ?? [];
  return host === '' ? null : `${wildcard}${host.toLowerCase()}`;
};

/**
 * True when a reported URL is the one that was wanted. Scheme and host decide for web and tls endpoints, since a
 * reported URL may carry a port; a tcp endpoint is its host and port. An empty wanted URL fits every reported one.
 */
export const isSameEndpoint = (wanted: string, reported: string): boolean => {
  if (wanted === '') return true;
  const [, scheme = '', wildcard = '', host = '', port = ''] = SHAPE.exec(wanted.toLowerCase()) ?? [];
  const [, otherScheme = '', otherWildcard = '', otherHost = '', otherPort = ''] =
    SHAPE.exec(reported.toLowerCase()) ?? [];
  const sameName = host !== '' && host === otherHost && wildcard === otherWildcard && scheme === otherScheme;
  return sameName && (scheme !== 'tcp' || port === otherPort);
};
