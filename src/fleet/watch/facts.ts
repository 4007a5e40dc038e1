/** What ngrok's API knows of a fleet, sorted by device. Pure but for the three lists it starts from. */
import { isDeviceId } from '../../protocol/names.ts';
import { isRecord, parseStrictJson } from '../../protocol/strict-json.ts';
import { isUnrestricted } from '../acl.ts';
import type { ApiResult, Credential, Endpoint, NgrokApi, TunnelSession } from '../api/index.ts';
import { parseTag } from '../credential-tag.ts';

/** The lists as they came. */
export interface ApiLists {
  readonly credentials: readonly Credential[];
  readonly sessions: readonly TunnelSession[];
  readonly endpoints: readonly Endpoint[];
}

/** A credential that belongs to a device. */
export interface CredentialFact {
  readonly id: string;
  /** Generation that the credential says; null for one that Lockkeeper did not make. */
  readonly gen: number | null;
  /** The rotation that made it, and what that was over. */
  readonly rotation: string | null;
  readonly scope: string | null;
  readonly createdAt: string;
  readonly acl: readonly string[];
  readonly ownerId: string;
  readonly isUnrestricted: boolean;
}

/** A session that calls itself this device, or uses one of its credentials. */
export interface SessionFact {
  readonly id: string;
  readonly credential: string;
  /** Whose credential that is; null when it is nobody's. */
  readonly credentialOf: string | null;
  /** What the session calls itself; null when it does not say. */
  readonly says: string | null;
  readonly ip: string;
  readonly region: string;
  readonly agentVersion: string;
  readonly startedAt: string;
}

/** An agent's endpoint, with the other sessions that serve the same URL. */
export interface EndpointFact {
  readonly id: string;
  readonly url: string;
  readonly session: string;
}

export interface DeviceFacts {
  readonly site: string | null;
  /** Newest first. */
  readonly credentials: readonly CredentialFact[];
  readonly sessions: readonly SessionFact[];
  readonly endpoints: readonly EndpointFact[];
}

/** A device of which ngrok has nothing. */
export const NO_FACTS: DeviceFacts = { site: null, credentials: [], sessions: [], endpoints: [] };

/** A URL that more than one session serves. */
export interface PoolFact {
  readonly url: string;
  readonly sessions: readonly string[];
  readonly devices: readonly string[];
}

export interface FleetFacts {
  readonly devices: ReadonlyMap<string, DeviceFacts>;
  readonly pools: readonly PoolFact[];
  /** Credentials and sessions that name no device. */
  readonly credentialsOfNobody: readonly CredentialFact[];
  readonly sessionsOfNobody: readonly SessionFact[];
}

/** Reads the three lists. A page that fails fails the whole: a part would pass for everything. */
export const readApiLists = async (
  api: Pick<NgrokApi, 'credentials' | 'tunnelSessions' | 'endpoints'>,
): Promise<ApiResult<ApiLists>> => {
  const [credentials, sessions, endpoints] = await Promise.all([
    api.credentials.list(),
    api.tunnelSessions.list(),
    api.endpoints.list(),
  ]);
  if (!credentials.ok) return credentials;
  if (!sessions.ok) return sessions;
  if (!endpoints.ok) return endpoints;
  return {
    ok: true,
    value: { credentials: credentials.value, sessions: sessions.value, endpoints: endpoints.value },
  };
};

/** The device that a metadata text names: `{"device":"press-7",…}`, or the bare id. */
export const deviceInMetadata = (metadata: string): string | null => {
  if (isDeviceId(metadata)) return metadata;
  const json = parseStrictJson(metadata);
  const named = json.ok && isRecord(json.value) ? json.value['device'] : undefined;
  return typeof named === 'string' && isDeviceId(named) ? named : null;
};

const factOf = (credential: Credential, tag = parseTag(credential.metadata)): CredentialFact => ({
  id: credential.id,
  gen: tag?.gen ?? null,
  rotation: tag?.rotation ?? null,
  scope: tag?.scope ?? null,
  createdAt: credential.created_at,
  acl: credential.acl,
  ownerId: credential.owner_id ?? '',
  isUnrestricted: isUnrestricted(credential.acl),
});

/** Whose a credential is: the tag's device, else what its metadata says; undefined when it is another tenant's. */
const ownerOf = (tenant: string, credential: Credential): string | null | undefined => {
  const tag = parseTag(credential.metadata);
  if (tag !== null) return tag.tenant === tenant ? tag.device : undefined;
  return deviceInMetadata(credential.metadata);
};

interface Building {
  site: string | null;
  credentials: CredentialFact[];
  sessions: SessionFact[];
  endpoints: EndpointFact[];
}

const groupPools = (
  endpoints: readonly Endpoint[],
  deviceOf: (session: string) => string | null,
): readonly PoolFact[] => {
  const byPlace = new Map<string, { url: string; sessions: Set<string> }>();
  for (const { type, url, bindings, tunnel_session } of endpoints) {
    if (type === 'cloud' || tunnel_session?.id === undefined) continue;
    const key = `${bindings.join()} ${url}`;
    const place = byPlace.get(key) ?? { url, sessions: new Set() };
    place.sessions.add(tunnel_session.id);
    byPlace.set(key, place);
  }
  return [...byPlace.values()]
    .filter(({ sessions }) => sessions.size > 1)
    .map(({ url, sessions }) => ({
      url,
      sessions: [...sessions],
      devices: [...new Set([...sessions].map(deviceOf).filter((device) => device !== null))],
    }));
};

/** Sorts the lists. What belongs to other tenants is left out. */
export const factsOf = (tenant: string, lists: ApiLists): FleetFacts => {
  const devices = new Map<string, Building>();
  const building = (device: string): Building => {
    const held = devices.get(device) ?? { site: null, credentials: [], sessions: [], endpoints: [] };
    devices.set(device, held);
    return held;
  };
  const owners = new Map<string, string | null | undefined>();
  const credentialsOfNobody: CredentialFact[] = [];
  for (const credential of lists.credentials) {
    const owner = ownerOf(tenant, credential);
    owners.set(credential.id, owner);
    if (owner === undefined) continue;
    if (owner === null) {
      credentialsOfNobody.push(factOf(credential));
      continue;
    }
    const held = building(owner);
    held.credentials.push(factOf(credential));
    held.site ??= parseTag(credential.metadata)?.site ?? null;
  }

  const sessionsOfNobody: SessionFact[] = [];
  const deviceOfSession = new Map<string, string | null>();
  for (const session of lists.sessions) {
    const owner = owners.get(session.credential.id);
    // Known to be another tenant's.
    if (owners.has(session.credential.id) && owner === undefined) continue;
    const says = deviceInMetadata(session.metadata);
    const fact: SessionFact = {
      id: session.id,
      credential: session.credential.id,
      credentialOf: owner ?? null,
      says,
      ip: session.ip,
      region: session.region,
      agentVersion: session.agent_version,
      startedAt: session.started_at,
    };
    // What it holds says more than what it calls itself.
    const device = owner ?? says;
    deviceOfSession.set(session.id, device);
    if (device === null) sessionsOfNobody.push(fact);
    else building(device).sessions.push(fact);
  }

  for (const { id, type, url, tunnel_session } of lists.endpoints) {
    const session = tunnel_session?.id;
    const device = session === undefined ? null : (deviceOfSession.get(session) ?? null);
    if (type !== 'cloud' && session !== undefined && device !== null)
      building(device).endpoints.push({ id, url, session });
  }
  return {
    devices,
    pools: groupPools(lists.endpoints, (session) => deviceOfSession.get(session) ?? null),
    credentialsOfNobody,
    sessionsOfNobody,
  };
};
