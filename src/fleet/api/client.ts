/** ngrok's API as one typed value. */
import { type Clock, systemClock } from '../../core/clock.ts';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { VERSION } from '../../core/version.ts';
import type { ApiResult } from './api-fault.ts';
import {
  act,
  type Collection,
  createCollection,
  type ListOptions,
  listAll,
  type Readable,
  segment,
} from './collection.ts';
import { createLimiter, createMemoryRateStore, type Limiter, type RateStore } from './limiter.ts';
import { API_RATE, type Rate } from './rate-window.ts';
import { createRequester } from './request.ts';
import type * as R from './resources.ts';

export interface NgrokApiOptions {
  /** `https://api.ngrok.com`, or another; plain `http` to loopback only. */
  readonly url: string;
  /** The API key; a secret. */
  readonly key: string;
  /** Which of the two equal resources is used for service users. */
  readonly users?: 'service_users' | 'bot_users';
  /** At most so many requests in a window; null for none. 120 in a minute unless told otherwise. */
  readonly rate?: Rate | null;
  /** Where the moments of requests are kept; in this process unless told otherwise. */
  readonly rateStore?: RateStore;
  readonly clock?: Clock;
  /** For one attempt. */
  readonly timeoutMs?: number;
  /** Ends everything under way. */
  readonly signal?: AbortSignal;
  readonly fetch?: typeof fetch;
}

/** Actions on an agent's session; the agent carries them out itself, or says that it does not (ERR_NGROK_804 to 810). */
export interface SessionActions {
  stop(id: string): Promise<ApiResult<void>>;
  restart(id: string): Promise<ApiResult<void>>;
  update(id: string): Promise<ApiResult<void>>;
}

/** Every resource of the API that a fleet needs. Expected failures are values; an id of the wrong form throws. */
export interface NgrokApi {
  readonly url: string;
  readonly limiter: Limiter;
  readonly serviceUsers: Collection<R.ServiceUser, R.NewServiceUser, Partial<R.NewServiceUser>>;
  readonly credentials: Collection<R.Credential, R.NewCredential, R.CredentialPatch>;
  readonly apiKeys: Collection<R.ApiKey, R.NewApiKey, R.DescriptionPatch>;
  readonly reservedDomains: Collection<R.ReservedDomain, R.NewReservedDomain, R.ReservedDomainPatch> & {
    removeCertificate(id: string): Promise<ApiResult<void>>;
    removeCertificatePolicy(id: string): Promise<ApiResult<void>>;
  };
  readonly reservedAddrs: Collection<R.ReservedAddr, R.NewReservedAddr, R.DescriptionPatch>;
  /** Lists cloud and agent endpoints; makes, changes and removes cloud ones only. */
  readonly endpoints: Collection<R.Endpoint, R.NewCloudEndpoint, R.CloudEndpointPatch>;
  readonly tunnelSessions: Readable<R.TunnelSession> & SessionActions;
  readonly tunnels: Readable<R.Tunnel>;
  readonly eventDestinations: Collection<
    R.EventDestination,
    R.NewEventDestination,
    Partial<R.NewEventDestination>
  >;
  readonly eventSubscriptions: Collection<
    R.EventSubscription,
    R.NewEventSubscription,
    Partial<R.NewEventSubscription>
  > & {
    /** The sources of one subscription, as a collection by type. */
    addSource(id: string, type: string): Promise<ApiResult<R.EventSource>>;
    removeSource(id: string, type: string): Promise<ApiResult<void>>;
  };
  readonly ipPolicies: Collection<R.IpPolicy, R.NewIpPolicy, R.DescriptionPatch>;
  readonly ipPolicyRules: Collection<R.IpPolicyRule, R.NewIpPolicyRule, R.IpPolicyRulePatch>;
  readonly ipRestrictions: Collection<
    R.IpRestriction,
    R.NewIpRestriction,
    Partial<Omit<R.NewIpRestriction, 'type'>>
  >;
  readonly vaults: Collection<R.Vault, R.NewVault, Partial<R.NewVault>> & {
    secrets(id: string, options?: ListOptions): Promise<ApiResult<readonly R.VaultSecret[]>>;
  };
  readonly vaultSecrets: Collection<R.VaultSecret, R.NewVaultSecret, R.VaultSecretPatch>;
  readonly tlsCertificates: Collection<R.TlsCertificate, R.NewTlsCertificate, R.DescriptionPatch>;
  readonly certificateAuthorities: Collection<
    R.CertificateAuthority,
    R.NewCertificateAuthority,
    R.DescriptionPatch
  >;
  readonly agentIngresses: Collection<R.AgentIngress, R.NewAgentIngress, R.DescriptionPatch>;
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

const TIMEOUT_MS = 30_000;
/** Fewer than five, so that a service that fails a few times in a row is met in seconds, and told after. */
const ATTEMPTS = 4;
const RATE_DEADLINE_MS = 15 * 60_000;
const MAX_PARALLEL = 8;

/** The base URL; `BAD_ARGS` when it is none, or would send a key in clear text over a network. */
export const parseApiUrl = (text: string): Result<URL> => {
  const bad = (why: string) => failed(fault('BAD_ARGS', `The API's URL ${why}.`, false));
  if (!URL.canParse(text)) return bad('is no URL');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    return bad('takes nothing but host, port and path');
  if (url.protocol === 'https:') return ok(url);
  return url.protocol === 'http:' && LOOPBACK.has(url.hostname)
    ? ok(url)
    : bad('must be https; plain http is for loopback only');
};

/** True for what can be sent in a header; the service judges the rest. */
const isKeyText = (key: string): boolean => /^[\x21-\x7e]{1,512}$/.test(key);

/** Makes a client. `BAD_ARGS` for a URL or key that cannot be used; nothing is sent yet. */
export const createNgrokApi = (options: NgrokApiOptions): Result<NgrokApi> => {
  const url = parseApiUrl(options.url);
  if (!url.ok) return url;
  if (!isKeyText(options.key))
    return failed(fault('BAD_ARGS', 'The API key has not the form of one.', false));
  const clock = options.clock ?? systemClock;
  const rate = options.rate === undefined ? API_RATE : options.rate;
  const limiter = createLimiter(clock, rate, options.rateStore ?? createMemoryRateStore());
  const request = createRequester({
    baseUrl: url.value,
    key: options.key,
    clock,
    limiter,
    userAgent: `lockkeeper/${VERSION}`,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    attempts: ATTEMPTS,
    rateDeadlineMs: RATE_DEADLINE_MS,
    maxParallel: MAX_PARALLEL,
    fetch: options.fetch ?? fetch,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const collection = <T, New, Patch>(path: string, key?: string): Collection<T, New, Patch> =>
    createCollection<T, New, Patch>(request, path, key);
  const readable = <T>(path: string): Readable<T> => {
    const { list, get } = collection<T, never, never>(path);
    return { list, get };
  };
  const session = (op: keyof SessionActions) => (id: string) =>
    act(request, 'POST', `/tunnel_sessions/${segment(id)}/${op}`);
  const sources = (id: string): string => `/event_subscriptions/${segment(id)}/sources`;
  const sourceType = (type: string): string => encodeURIComponent(type);

  return ok({
    url: url.value.href,
    limiter,
    serviceUsers: collection(`/${options.users ?? 'service_users'}`),
    credentials: collection('/credentials'),
    apiKeys: collection('/api_keys'),
    reservedDomains: {
      ...collection('/reserved_domains'),
      removeCertificate: (id) => act(request, 'DELETE', `/reserved_domains/${segment(id)}/certificate`),
      removeCertificatePolicy: (id) =>
        act(request, 'DELETE', `/reserved_domains/${segment(id)}/certificate_management_policy`),
    },
    reservedAddrs: collection('/reserved_addrs'),
    endpoints: collection('/endpoints'),
    tunnelSessions: {
      ...readable('/tunnel_sessions'),
      stop: session('stop'),
      restart: session('restart'),
      update: session('update'),
    },
    tunnels: readable('/tunnels'),
    eventDestinations: collection('/event_destinations'),
    eventSubscriptions: {
      ...collection('/event_subscriptions'),
      addSource: (id, type) =>
        createCollection<R.EventSource, { readonly type: string }, never>(request, sources(id)).create({
          type,
        }),
      removeSource: (id, type) => act(request, 'DELETE', `${sources(id)}/${sourceType(type)}`),
    },
    ipPolicies: collection('/ip_policies'),
    ipPolicyRules: collection('/ip_policy_rules'),
    ipRestrictions: collection('/ip_restrictions'),
    vaults: {
      ...collection('/vaults'),
      secrets: (id, list) => listAll(request, `/vaults/${segment(id)}/secrets`, 'secrets', list),
    },
    vaultSecrets: collection('/vault_secrets', 'secrets'),
    tlsCertificates: collection('/tls_certificates'),
    certificateAuthorities: collection('/certificate_authorities'),
    agentIngresses: collection('/agent_ingresses', 'ingresses'),
  });
};
