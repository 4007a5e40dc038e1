/**
 * Shapes of ngrok's API as they travel, in its own names. Only what is documented is typed; fields that an answer may
 * leave out are optional. `description` is at most 255 bytes, `metadata` at most 4096; times are RFC 3339 in UTC.
 */

/** A reference to another object. */
export interface Ref {
  readonly id: string;
  readonly uri?: string;
}

interface Made {
  readonly id: string;
  readonly uri?: string;
  readonly created_at: string;
}

interface Described {
  readonly description: string;
  readonly metadata: string;
}

type NewDescribed = Partial<Described>;

/** `/service_users`, and the same under `/bot_users`. No metadata: the name is all there is. */
export interface ServiceUser extends Made {
  readonly name: string;
  readonly active: boolean;
}
export interface NewServiceUser {
  readonly name: string;
  readonly active?: boolean;
}

/** `/credentials`: an authtoken. `token` is a secret and only there in the answer to its creation. */
export interface Credential extends Made, Described {
  readonly token: string | null;
  /** Empty means: no restriction at all. */
  readonly acl: readonly string[];
  readonly owner_id?: string;
}
export interface NewCredential extends NewDescribed {
  readonly acl: readonly string[];
  readonly owner_id?: string;
}
export type CredentialPatch = NewDescribed & { readonly acl?: readonly string[] };

/** `/api_keys`. */
export interface ApiKey extends Made, Described {
  readonly token: string | null;
  readonly owner_id?: string;
}
export interface NewApiKey extends NewDescribed {
  readonly owner_id?: string;
}

export interface CertificateJob {
  readonly error_code: string | null;
  readonly msg: string;
  readonly started_at: string;
  readonly retries_at: string | null;
}
export interface CertificatePolicy {
  readonly authority: string;
  readonly private_key_type: string;
}
/** `/reserved_domains`. */
export interface ReservedDomain extends Made, Described {
  readonly domain: string;
  readonly region?: string;
  readonly cname_target: string | null;
  readonly certificate: Ref | null;
  readonly certificate_management_policy?: CertificatePolicy | null;
  readonly certificate_management_status?: {
    readonly renews_at: string | null;
    readonly provisioning_job: CertificateJob | null;
  } | null;
  readonly acme_challenge_cname_target: string | null;
  readonly resolves_to?: readonly { readonly value: string }[];
}
export interface NewReservedDomain extends NewDescribed {
  readonly domain: string;
  readonly certificate_id?: string;
  readonly certificate_management_policy?: CertificatePolicy;
  readonly resolves_to?: readonly { readonly value: string }[];
}
export type ReservedDomainPatch = Partial<Omit<NewReservedDomain, 'domain'>>;

/** `/reserved_addrs`. */
export interface ReservedAddr extends Made, Described {
  readonly addr: string;
  readonly region: string;
}
export interface NewReservedAddr extends NewDescribed {
  readonly region?: string;
}

export type Binding = 'public' | 'internal' | 'kubernetes';

/** `/endpoints`: what is online. `type` is `cloud`, or `ephemeral` (also seen: `agent`) for an agent's. */
export interface Endpoint {
  readonly id: string;
  readonly uri?: string;
  readonly type: string;
  readonly url: string;
  readonly public_url?: string;
  readonly proto?: string;
  readonly scheme?: string;
  readonly host?: string;
  readonly port?: number;
  readonly hostport?: string;
  readonly bindings: readonly Binding[];
  readonly pooling_enabled?: boolean;
  readonly name?: string;
  readonly description?: string;
  readonly metadata?: string;
  readonly region?: string;
  readonly created_at?: string;
  readonly updated_at?: string;
  readonly domain?: Ref | null;
  readonly principal?: Ref | null;
  readonly tunnel?: Ref | null;
  readonly tunnel_session?: Ref | null;
  readonly upstream_url?: string;
  readonly upstream_protocol?: string;
  readonly traffic_policy?: string;
}
export interface NewCloudEndpoint extends NewDescribed {
  readonly url: string;
  readonly type: 'cloud';
  /** JSON or YAML text. */
  readonly traffic_policy: string;
  readonly bindings?: readonly Binding[];
  readonly pooling_enabled?: boolean;
}
export type CloudEndpointPatch = Partial<Omit<NewCloudEndpoint, 'type'>>;

/** `/tunnel_sessions`: agents that are online. */
export interface TunnelSession {
  readonly id: string;
  readonly uri?: string;
  readonly agent_version: string;
  readonly credential: Ref;
  readonly ip: string;
  readonly metadata: string;
  readonly os: string;
  readonly region: string;
  readonly started_at: string;
  readonly transport: string;
}

/** `/tunnels`, the older view of what agents have open. */
export interface Tunnel {
  readonly id: string;
  readonly public_url?: string;
  readonly started_at?: string;
  readonly metadata?: string;
  readonly proto?: string;
  readonly region?: string;
  readonly tunnel_session?: Ref | null;
  readonly endpoint?: Ref | null;
}

/** Exactly one member is set. Secrets in it are never shown by us. */
export type EventTarget = Readonly<Record<string, unknown>>;
/** `/event_destinations`. */
export interface EventDestination extends Made, Described {
  readonly format: string;
  readonly target: EventTarget;
}
export interface NewEventDestination extends NewDescribed {
  readonly format: string;
  readonly target: EventTarget;
}

export interface EventSource {
  readonly type: string;
  readonly uri?: string;
}
/** `/event_subscriptions`. A PATCH replaces the lists that it names. */
export interface EventSubscription extends Made, Described {
  readonly sources: readonly EventSource[];
  readonly destinations: readonly Ref[];
}
export interface NewEventSubscription extends NewDescribed {
  readonly sources: readonly { readonly type: string }[];
  readonly destination_ids: readonly string[];
}

/** `/ip_policies`. */
export interface IpPolicy extends Made, Described {}
export type NewIpPolicy = NewDescribed;
/** `/ip_policy_rules`. */
export interface IpPolicyRule extends Made, Described {
  readonly cidr: string;
  readonly action: 'allow' | 'deny';
  readonly ip_policy: Ref;
}
export interface NewIpPolicyRule extends NewDescribed {
  readonly cidr: string;
  readonly ip_policy_id: string;
  readonly action?: 'allow' | 'deny';
}
export type IpPolicyRulePatch = NewDescribed & { readonly cidr?: string };
/** `/ip_restrictions`. */
export interface IpRestriction extends Made, Described {
  readonly type: 'dashboard' | 'api' | 'agent' | 'endpoints';
  readonly enforced: boolean;
  readonly ip_policies: readonly Ref[];
}
export interface NewIpRestriction extends NewDescribed {
  readonly type: IpRestriction['type'];
  readonly enforced?: boolean;
  readonly ip_policy_ids: readonly string[];
}

/** `/vaults`. */
export interface Vault extends Made, Described {
  readonly name: string;
}
export interface NewVault extends NewDescribed {
  readonly name: string;
}
/** `/vault_secrets`. The value goes in and never comes back. */
export interface VaultSecret extends Made, Described {
  readonly name: string;
  readonly vault?: Ref;
}
export interface NewVaultSecret extends NewDescribed {
  readonly name: string;
  readonly value: string;
  readonly vault_id?: string;
  readonly vault_name?: string;
}
export type VaultSecretPatch = NewDescribed & { readonly name?: string; readonly value?: string };

/** `/tls_certificates`. The private key goes in and never comes back. */
export interface TlsCertificate extends Made, Described {
  readonly certificate_pem: string;
  readonly not_after?: string;
  readonly not_before?: string;
  readonly subject_common_name?: string;
}
export interface NewTlsCertificate extends NewDescribed {
  readonly certificate_pem: string;
  readonly private_key_pem: string;
}
/** `/certificate_authorities`. */
export interface CertificateAuthority extends Made, Described {
  readonly ca_pem: string;
  readonly not_after?: string;
  readonly not_before?: string;
  readonly subject_common_name?: string;
}
export interface NewCertificateAuthority extends NewDescribed {
  readonly ca_pem: string;
}
/** `/agent_ingresses`. */
export interface AgentIngress extends Made, Described {
  readonly domain: string;
  readonly ns_targets: readonly string[];
  readonly region_domains: readonly string[];
  readonly certificate_management_policy?: CertificatePolicy | null;
}
export interface NewAgentIngress extends NewDescribed {
  readonly domain: string;
  readonly certificate_management_policy?: CertificatePolicy;
}
export type DescriptionPatch = NewDescribed;
