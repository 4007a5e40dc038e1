import type { FrontEnd, Refusal } from '../contract.ts';
import type { BindRequest, EndpointProto } from './bind-request.ts';
import { newLabel } from './ids.ts';

/** Where an endpoint wants to be reached. `port` is null for names; 0 asks for any. */
export interface Target {
  readonly proto: EndpointProto;
  readonly host: string;
  readonly port: number | null;
  /** True when the agent named no address, now or at the first bind. */
  readonly random: boolean;
  readonly binding: 'public' | 'internal' | 'kubernetes';
}

const MALFORMED = 'ERR_NGROK_326';
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const LONGEST_NAME = 253;
/** Random tcp endpoints are named by address: a name may resolve to an address family nobody listens on. */
const LOOPBACK = '127.0.0.1';

const malformed = (name: string, why: string): Refusal => ({
  code: MALFORMED,
  message: `The host name '${name}' is not valid: ${why}.`,
});

/** Null when `name` is a lower-case DNS name of two or more labels, with an optional leading `*.`. */
export const checkHostName = (name: string): Refusal | null => {
  if (name.length > LONGEST_NAME) return malformed(name, `it has more than ${LONGEST_NAME} characters`);
  const labels = name.replace(/^\*\./, '').split('.');
  if (labels.length < 2) return malformed(name, 'it needs a domain');
  if (!labels.every((label) => LABEL.test(label))) {
    return malformed(name, 'labels hold letters, digits and inner hyphens, at most 63');
  }
  return null;
};

const isInternalName = (host: string): boolean => host.endsWith('.internal');

const bindingOf = (request: BindRequest, host: string): Target['binding'] | Refusal => {
  const [asked] = request.bindings;
  if (isInternalName(host)) {
    if (asked !== undefined && asked !== 'internal') {
      return malformed(host, 'names under .internal have the internal binding');
    }
    return 'internal';
  }
  if (asked === 'internal' && host !== '')
    return malformed(host, 'the internal binding needs a name under .internal');
  if (asked === 'internal' || asked === 'kubernetes') return asked;
  if (asked === undefined || asked === 'public') return 'public';
  return malformed(host, `there is no binding '${asked}'`);
};

const parseAddr = (addr: string): { host: string; port: number } | Refusal => {
  const match = /^([^:]+):(\d{1,5})$/.exec(addr);
  const host = match?.[1]?.toLowerCase() ?? '';
  const port = Number(match?.[2] ?? 0);
  if (match === null || port < 1 || port > 65_535) return malformed(addr, 'a tcp address is HOST:PORT');
  // Reserved addresses are names; loopback addresses are what this edge itself gives out.
  if (/^[\d.]+$/.test(host) || host === 'localhost') return { host, port };
  return checkHostName(host) ?? { host, port };
};

const tcpTarget = (request: BindRequest, wasRandom: boolean): Target | Refusal => {
  if (request.addr === '') {
    const binding = bindingOf(request, '');
    if (typeof binding !== 'string') return binding;
    if (binding !== 'public') return malformed('', `a tcp endpoint with ${binding} binding needs an address`);
    return { proto: 'tcp', host: LOOPBACK, port: 0, random: true, binding };
  }
  const parsed = parseAddr(request.addr);
  if ('code' in parsed) return parsed;
  const binding = bindingOf(request, parsed.host);
  if (typeof binding !== 'string') return binding;
  return { proto: 'tcp', ...parsed, random: wasRandom, binding };
};

/** Works out the address a bind asks for: as named, or random under `domain` (under `.internal` for that binding). */
export const targetOf = (request: BindRequest, domain: string, wasRandom: boolean): Target | Refusal => {
  if (request.proto === 'tcp') return tcpTarget(request, wasRandom);
  const asked = request.name.toLowerCase();
  const named =
    asked === '' && request.subdomain !== '' ? `${request.subdomain.toLowerCase()}.${domain}` : asked;
  const binding = bindingOf(request, named);
  if (typeof binding !== 'string') return binding;
  const host = named === '' ? `${newLabel()}.${binding === 'internal' ? 'internal' : domain}` : named;
  const bad = checkHostName(host);
  if (bad !== null) return bad;
  return { proto: request.proto, host, port: null, random: named === '' || wasRandom, binding };
};

/** The URL that the agent shows. */
export const urlOf = (target: Target, frontEnd: FrontEnd, withPort: boolean): string => {
  if (target.proto === 'tcp') return `tcp://${target.host}:${target.port ?? 0}`;
  const port = target.proto === 'http' ? frontEnd.httpPort : frontEnd.httpsPort;
  const own = target.proto === 'http' ? 80 : 443;
  const suffix = withPort && target.binding === 'public' && port !== own ? `:${port}` : '';
  return `${target.proto}://${target.host}${suffix}`;
};
