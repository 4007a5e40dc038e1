/** What the schema cannot say: how keys must fit together. Each rule looks at sections that are sound by themselves. */
import type { Result } from '../core/errors.ts';
import { parseWindow } from '../core/window.ts';
import { isZone } from '../core/zone.ts';
import { parseAllowEntry } from './allow-list.ts';
import { closest } from './closest.ts';
import type { Config, EndpointConfig } from './config.ts';
import { normaliseEndpointUrl } from './endpoint-url.ts';
import { parseHost } from './host-port.ts';
import { parseHttpListen } from './http-listen.ts';
import { parseMqttUrl } from './mqtt-url.ts';
import { type ConfigProblem, isWithin, joinPath, problem } from './problem.ts';
import { refuseAddress, resolveUpstream } from './resolve-upstream.ts';
import { isTlsScheme, isUrlRef, parseUpstreamUrl } from './upstream-ref.ts';

/** What the rules need to know of the world besides the configuration. */
export interface RuleWorld {
  /** The `TZ` variable, if set: Node takes a zone it does not know for UTC without a word. */
  readonly timeZone: string | undefined;
}

interface Rule {
  /** Sections that must have passed the schema for the rule to look at them. */
  readonly needs: readonly (keyof Config)[];
  check(config: Config, world: RuleWorld): readonly ConfigProblem[];
}

const faulty = (path: string, result: Result<unknown>): readonly ConfigProblem[] =>
  result.ok ? [] : [problem(path, result.fault.message)];

const upstreamProblems = (name: string, config: Config): readonly ConfigProblem[] => {
  const upstream = config.upstreams[name];
  if (upstream === undefined) return [];
  const path = joinPath(['upstreams', name]);
  const address = parseUpstreamUrl(upstream.url);
  if (!address.ok) return faulty(`${path}.url`, address);
  const refused = refuseAddress(address.value, config);
  const { verify, caFile, serverName } = upstream;
  const isTls = isTlsScheme(address.value.scheme);
  const useless = isTls ? [] : [!verify && 'verify', caFile && 'caFile', serverName && 'serverName'];
  return [
    ...(refused === null ? [] : [problem(`${path}.url`, refused)]),
    ...useless.flatMap((key) =>
      key
        ? [problem(`${path}.${key}`, 'has no meaning for an upstream without TLS; use https:// or tls://')]
        : [],
    ),
    ...(isTls || upstream.check?.type !== 'tls'
      ? []
      : [problem(`${path}.check.type`, 'cannot be tls for an upstream without TLS')]),
  ];
};

/** What the kernel takes for the name of a socket, without the byte that ends it. */
const MAX_SOCKET_BYTES = 107;

const ownPathProblems = ({ socket, stateDir }: Config): readonly ConfigProblem[] => [
  ...(stateDir === '' ? [problem('stateDir', 'must name a folder')] : []),
  ...(socket === '' ? [problem('socket', 'must name a file')] : []),
  ...(Buffer.byteLength(socket) > MAX_SOCKET_BYTES
    ? [problem('socket', `is longer than the ${MAX_SOCKET_BYTES} bytes that a socket's path may have`)]
    : []),
];

const unknownName = (kind: string, name: string, names: readonly string[]): string => {
  const near = closest(name, names);
  return `names no ${kind}${near === null ? `; there ${names.length === 0 ? 'are none' : `is ${names.join(', ')}`}` : `; did you mean ${near}?`}`;
};

const endpointProblems = (
  endpoint: EndpointConfig,
  index: number,
  config: Config,
): readonly ConfigProblem[] => {
  const path = (key: string): string => `endpoints[${index}].${key}`;
  const { name, proto, upstream, url, binding, policy, windows, metering, idleCloseS } = endpoint;
  const isNamed = Object.hasOwn(config.upstreams, upstream);
  const first = config.endpoints.findIndex((other) => other.name === name);
  const upstreamFault =
    !isNamed && !isUrlRef(upstream)
      ? [problem(path('upstream'), unknownName('upstream', upstream, Object.keys(config.upstreams)))]
      : isNamed
        ? []
        : faulty(path('upstream'), resolveUrl(config, upstream));
  return [
    ...(first < index ? [problem(path('name'), `is also the name of endpoints[${first}]`)] : []),
    ...upstreamFault,
    ...faulty(path('url'), normaliseEndpointUrl(proto, url, binding)),
    ...(policy === '' || Object.hasOwn(config.policies, policy)
      ? []
      : [problem(path('policy'), unknownName('policy', policy, Object.keys(config.policies)))]),
    ...windows.flatMap((text, at) => faulty(`${path('windows')}[${at}]`, parseWindow(text))),
    ...(metering === 'off' && idleCloseS > 0
      ? [problem(path('idleCloseS'), 'needs metering on, since only the relay sees traffic')]
      : []),
  ];
};

/** A URL in an endpoint, with a message that begins with a verb. */
const resolveUrl = (config: Config, ref: string): Result<unknown> => {
  const address = parseUpstreamUrl(ref);
  if (!address.ok) return address;
  const resolved = resolveUpstream(config, ref);
  return resolved.ok
    ? resolved
    : { ok: false, fault: { ...resolved.fault, message: 'is covered by no entry of allowUpstreams' } };
};

const serverAddrProblem = (serverAddr: string): readonly ConfigProblem[] => {
  if (serverAddr === '') return [];
  const [, host = '', port = ''] = /^([^:]+):(\d+)$/.exec(serverAddr) ?? [];
  const parsed = parseHost(host);
  if (parsed === null || parsed.kind === 'ipv6' || !(Number(port) >= 1 && Number(port) <= 65_535)) {
    return [problem('ngrok.serverAddr', 'must be host:port with a name or an IPv4 address')];
  }
  // The SDK's URL parser takes 80 for "no port" and dials 443.
  return port === '80' ? [problem('ngrok.serverAddr', 'cannot have port 80')] : [];
};

const hasLocalWindow = (endpoint: EndpointConfig): boolean =>
  endpoint.windows.some((text) => {
    const window = parseWindow(text);
    return window.ok && window.value.zone === '';
  });

const RULES: readonly Rule[] = [
  { needs: ['socket', 'stateDir'], check: ownPathProblems },
  { needs: ['mqtt'], check: ({ mqtt }) => faulty('mqtt.url', parseMqttUrl(mqtt.url)) },
  {
    needs: ['mqtt'],
    check: ({ mqtt: { certFile, keyFile } }) => {
      if ((certFile === '') === (keyFile === '')) return [];
      const [missing, given] = certFile === '' ? ['certFile', 'keyFile'] : ['keyFile', 'certFile'];
      return [problem(`mqtt.${missing}`, `is required beside mqtt.${given}`)];
    },
  },
  {
    needs: ['mqtt'],
    check: ({ mqtt: { alpn, url } }) =>
      alpn !== '' && !url.startsWith('mqtts:')
        ? [problem('mqtt.alpn', 'has no meaning without mqtts://')]
        : [],
  },
  {
    needs: ['trust'],
    check: ({ trust }) =>
      trust.mode === 'signed' && trust.keysFile === ''
        ? [problem('trust.keysFile', 'is required with trust.mode signed')]
        : [],
  },
  { needs: ['ngrok'], check: ({ ngrok }) => serverAddrProblem(ngrok.serverAddr) },
  {
    needs: ['upstreams', 'http', 'mqtt'],
    check: (config) => Object.keys(config.upstreams).flatMap((name) => upstreamProblems(name, config)),
  },
  {
    needs: ['allowUpstreams'],
    check: ({ allowUpstreams }) =>
      allowUpstreams.flatMap((entry, index) => faulty(`allowUpstreams[${index}]`, parseAllowEntry(entry))),
  },
  {
    needs: ['endpoints', 'upstreams', 'allowUpstreams', 'policies', 'http', 'mqtt'],
    check: (config) =>
      config.endpoints.flatMap((endpoint, index) => endpointProblems(endpoint, index, config)),
  },
  {
    needs: ['endpoints'],
    check: ({ endpoints }, { timeZone }) =>
      timeZone && !isZone(timeZone.replace(/^:/, '')) && endpoints.some(hasLocalWindow)
        ? [
            problem(
              'endpoints',
              `has windows in the device's own time zone, but TZ names ${JSON.stringify(timeZone)}, which is not known here`,
            ),
          ]
        : [],
  },
  {
    needs: ['http'],
    check: ({ http }) => (http.listen === '' ? [] : faulty('http.listen', parseHttpListen(http.listen))),
  },
];

/** Runs every rule whose sections have no problem yet. */
export const checkRules = (
  config: Config,
  known: readonly ConfigProblem[],
  world: RuleWorld,
): readonly ConfigProblem[] =>
  RULES.filter(
    ({ needs }) => !needs.some((section) => known.some(({ path }) => isWithin(path, section))),
  ).flatMap((rule) => rule.check(config, world));
