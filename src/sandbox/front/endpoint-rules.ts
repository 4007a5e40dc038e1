import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { EdgeEndpoint, Refusal } from '../contract.ts';
import type { Ends } from './address.ts';
import { basicAuth } from './modules/basic-auth.ts';
import { type CircuitBreaker, circuitBreaker } from './modules/circuit-breaker.ts';
import { headerEdits, splitField } from './modules/header-edits.ts';
import { addressRefused, ipRestriction } from './modules/ip-restriction.ts';
import { userAgentFilter } from './modules/user-agent-filter.ts';
import { isOptions, numberAt, type Options, optionsAt, pemAt, stringAt, stringsAt } from './option-values.ts';
import type { PolicyContext } from './policy/actions.ts';
import { compilePolicy } from './policy/compile.ts';
import { RefusedBind, refusal, refuse } from './refused-bind.ts';
import type { RequestStage, ResponseStage } from './stages.ts';

/** The bind options of one endpoint, ready to be carried out. */
export interface EndpointRules {
  readonly proxyProto: 0 | 1 | 2;
  /** HTTP/2 with prior knowledge towards the agent. */
  readonly isHttp2: boolean;
  /** WebSockets at the front, their bytes towards the agent. */
  readonly isWebsocketToTcp: boolean;
  /** PEM of the authorities that visitors' certificates must come from; null when none is asked for. */
  readonly clientCa: string | null;
  /** The pair that a tls endpoint is terminated with at the edge; null for pass-through. */
  readonly termination: { readonly cert: string; readonly key: string } | null;
  readonly breaker: CircuitBreaker | null;
  /** False for a visitor who gets closed without a byte. */
  readonly admits: (ends: Ends) => boolean;
  readonly onRequest: readonly RequestStage[];
  readonly onResponse: readonly ResponseStage[];
}

/** Modules that need a party on the internet or knowledge of its secrets; a bind that asks for one is refused. */
const NOT_SUPPORTED = ['OAuth', 'OIDC', 'WebhookVerification', 'MutualTLSAtAgent'] as const;

/** Compiles bind options; throws `RefusedBind` when one is wrong or cannot be honoured. */
const compileRules = (
  proto: string,
  opts: Options,
  forwardsProto: string,
  context: PolicyContext,
): EndpointRules => {
  for (const module of NOT_SUPPORTED) {
    if (opts[module] !== undefined && opts[module] !== null && opts[module] !== false) {
      refuse(`${module} is not supported by this edge.`);
    }
  }
  const isHttp = proto === 'http' || proto === 'https';
  const restriction = optionsAt(opts, 'IPRestriction');
  const isAdmitted =
    restriction === null
      ? (): boolean => true
      : ipRestriction(stringsAt(restriction, 'allow_cidrs'), stringsAt(restriction, 'deny_cidrs'));
  const policy = compilePolicy(stringAt(opts, 'TrafficPolicy') ?? '', isHttp ? 'http' : 'tcp', context);
  const http = isHttp ? httpModules(opts) : { onRequest: [], onResponse: [] };
  const breaker = isHttp ? optionsAt(opts, 'CircuitBreaker') : null;
  const clientCa = optionsAt(opts, isHttp ? 'MutualTLSCA' : 'MutualTLSAtEdge');
  if (proto === 'http' && clientCa !== null) refuse('Mutual TLS needs an https endpoint.');
  const addressStage: RequestStage = (_request, visit) =>
    isAdmitted(visit.clientIp) ? null : addressRefused(visit.clientIp);
  if (proto === 'tls' && clientCa !== null && optionsAt(opts, 'TLSTermination') === null) {
    refuse('MutualTLSAtEdge needs TLSTermination.');
  }
  return {
    proxyProto: proxyProtoOf(opts),
    isHttp2: isHttp && isHttp2(forwardsProto),
    isWebsocketToTcp: isHttp && optionsAt(opts, 'WebsocketTCPConverter') !== null,
    clientCa: clientCa === null ? null : authority(pemAt(clientCa, 'mutual_tls_ca')),
    termination: proto === 'tls' ? terminationOf(opts) : null,
    breaker: breaker === null ? null : circuitBreaker(thresholdOf(breaker), context.clock),
    admits: (ends) => (isHttp || isAdmitted(ends.clientIp)) && policy.admits(ends),
    onRequest: [...(restriction === null ? [] : [addressStage]), ...http.onRequest, ...policy.onRequest],
    onResponse: [...http.onResponse, ...policy.onResponse],
  };
};

/** Null when the options can be honoured; else why not. */
export const checkRules = (
  proto: string,
  opts: Options,
  forwardsProto: string,
  context: PolicyContext,
): Refusal | null => {
  try {
    compileRules(proto, opts, forwardsProto, context);
    return null;
  } catch (error) {
    if (error instanceof RefusedBind) return refusal(error);
    throw error;
  }
};

/** Rules by endpoint: compiled once, kept as long as the edge keeps the endpoint. */
export const rulesByEndpoint = (context: PolicyContext): ((endpoint: EdgeEndpoint) => EndpointRules) => {
  const compiled = new WeakMap<EdgeEndpoint, EndpointRules>();
  return (endpoint) => {
    const known = compiled.get(endpoint);
    if (known !== undefined) return known;
    const rules = compileRules(endpoint.proto, endpoint.opts, endpoint.forwardsProto, context);
    compiled.set(endpoint, rules);
    return rules;
  };
};

const isHttp2 = (forwardsProto: string): boolean =>
  forwardsProto === 'http2' ||
  (forwardsProto !== '' &&
    forwardsProto !== 'http1' &&
    refuse(`The protocol ${forwardsProto} is not known.`));

const proxyProtoOf = (opts: Options): 0 | 1 | 2 => {
  const version = numberAt(opts, 'ProxyProto') ?? 0;
  return version === 0 || version === 1 || version === 2
    ? version
    : refuse(`PROXY protocol version ${version} is not known.`);
};

const thresholdOf = (breaker: Options): number => {
  const threshold = numberAt(breaker, 'error_threshold') ?? 0;
  return threshold >= 0 && threshold <= 1 ? threshold : refuse('error_threshold must be between 0 and 1.');
};

const httpModules = (opts: Options): { onRequest: RequestStage[]; onResponse: ResponseStage[] } => {
  const onRequest: RequestStage[] = [];
  const onResponse: ResponseStage[] = [];
  const agents = optionsAt(opts, 'UserAgentFilter');
  if (agents !== null) onRequest.push(userAgentFilter(stringsAt(agents, 'allow'), stringsAt(agents, 'deny')));
  const auth = optionsAt(opts, 'BasicAuth');
  if (auth !== null) onRequest.push(basicAuth(credentialsOf(auth), 'ngrok'));
  const requestHeaders = optionsAt(opts, 'RequestHeaders');
  if (requestHeaders !== null) {
    const edit = editsOf(requestHeaders);
    onRequest.push((request) => {
      request.headers = edit(request.headers);
      return null;
    });
  }
  const responseHeaders = optionsAt(opts, 'ResponseHeaders');
  if (responseHeaders !== null) {
    const edit = editsOf(responseHeaders);
    onResponse.push((response) => {
      response.headers = edit(response.headers);
      return null;
    });
  }
  if (optionsAt(opts, 'Compression') !== null) {
    onResponse.push((response) => {
      response.codings = ['gzip', 'deflate'];
      return null;
    });
  }
  return { onRequest, onResponse };
};

const editsOf = (module: Options) =>
  headerEdits(stringsAt(module, 'add').map(splitField), stringsAt(module, 'remove'));

const credentialsOf = (module: Options): string[] => {
  const list = module['credentials'];
  if (!Array.isArray(list)) return refuse('BasicAuth needs credentials.');
  return list.map((item: unknown) =>
    isOptions(item)
      ? `${stringAt(item, 'username') ?? ''}:${stringAt(item, 'cleartext_password') ?? ''}`
      : refuse('A credential of BasicAuth must be an object.'),
  );
};

const authority = (pem: string): string => {
  try {
    new X509Certificate(pem);
    createSecureContext({ ca: pem });
    return pem;
  } catch {
    return refuse('mutual_tls_ca holds no certificate.');
  }
};

const terminationOf = (opts: Options): { cert: string; key: string } | null => {
  const pair = optionsAt(opts, 'TLSTermination');
  if (pair === null) return null;
  const cert = pemAt(pair, 'cert');
  const key = pemAt(pair, 'key');
  try {
    createSecureContext({ cert, key });
    return { cert, key };
  } catch {
    return refuse('TLSTermination holds no certificate with its key.');
  }
};
