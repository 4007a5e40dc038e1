/** One device as an operator wants to see it: what it says of itself, joined with what ngrok knows. Pure. */

import { type DeviceFacts, type FleetFacts, NO_FACTS, type SessionFact } from './facts.ts';
import { type FleetCondition, judgeDevice, type WatchSettings } from './judge.ts';
import type { DeviceSeen } from './seen.ts';

/** `unknown`: it never showed itself over MQTT. `stuck`: it is on line and does not do its work. */
export type DeviceState = 'online' | 'offline' | 'stuck' | 'unknown';

export interface RowEndpoint {
  readonly name: string;
  readonly state: string;
  readonly url: string | null;
  readonly by: 'desired' | 'lease' | null;
  /** Epoch seconds. */
  readonly leaseEnd: number | null;
  readonly code: string | null;
}

export interface DeviceRow {
  readonly device: string;
  readonly site: string | null;
  readonly state: DeviceState;
  /** Epoch seconds of the device's newest word, as far as this reader knows; null when it never spoke. */
  readonly lastSeen: number | null;
  readonly versions: {
    readonly agent: string;
    readonly ngrok: string | null;
    readonly node: string | null;
    readonly mqtt: number;
    readonly trust: string;
  } | null;
  /** The ngrok session as the device reports it. */
  readonly session: { readonly state: string; readonly since: number | null } | null;
  readonly generation: number | null;
  readonly locked: boolean;
  readonly latencyMs: number | null;
  readonly endpoints: readonly RowEndpoint[];
  /** At ngrok; empty without the API. */
  readonly sessions: readonly SessionFact[];
  readonly credentials: readonly {
    readonly id: string;
    readonly gen: number | null;
    readonly ageS: number | null;
    readonly acl: readonly string[];
    readonly ownerId: string;
  }[];
  readonly lastError: string | null;
  readonly conditions: readonly FleetCondition[];
}

const WORST = ['error', 'warning', 'info'] as const;

const stateOf = (seen: DeviceSeen | undefined, conditions: readonly FleetCondition[]): DeviceState => {
  if (seen?.presence === undefined) return 'unknown';
  if (conditions.some(({ code }) => code === 'OFFLINE')) return 'offline';
  return conditions.some(({ isStuck }) => isStuck === true) ? 'stuck' : 'online';
};

const lastErrorOf = (seen: DeviceSeen | undefined): string | null => {
  const { reported } = seen ?? {};
  if (reported === undefined) return null;
  if (reported.session.err !== undefined) return reported.session.err;
  const endpoint = reported.endpoints.find(({ code, state }) => code !== undefined && state !== 'up');
  if (endpoint?.code !== undefined) return endpoint.code;
  const failed = (reported.last ?? []).find(([, status, code]) => status === 'failed' && code !== undefined);
  return failed === undefined ? null : String(failed[2]);
};

const lastSeenOf = (seen: DeviceSeen | undefined): number | null => {
  const times = [
    seen?.heardMs === null || seen?.heardMs === undefined ? 0 : Math.floor(seen.heardMs / 1000),
    seen?.reported?.ts ?? 0,
    seen?.presence?.online === true ? (seen.presence.ts ?? 0) : 0,
  ];
  const newest = Math.max(...times);
  return newest === 0 ? null : newest;
};

/** Seconds since an RFC 3339 time; null when it is none. */
export const ageOf = (createdAt: string, nowMs: number): number | null => {
  const at = Date.parse(createdAt);
  return Number.isNaN(at) ? null : Math.max(0, Math.floor((nowMs - at) / 1000));
};

/** Builds the row. `facts` is null without the API. */
export const deviceRow = (
  device: string,
  seen: DeviceSeen | undefined,
  facts: DeviceFacts | null | undefined,
  settings: WatchSettings,
): DeviceRow => {
  const conditions = judgeDevice(seen, facts ?? null, settings).toSorted(
    (a, b) => WORST.indexOf(a.severity) - WORST.indexOf(b.severity),
  );
  const { hello, reported } = seen ?? {};
  return {
    device,
    site: facts?.site ?? null,
    state: stateOf(seen, conditions),
    lastSeen: lastSeenOf(seen),
    versions:
      hello === undefined
        ? null
        : {
            agent: hello.agent,
            ngrok: hello.ngrok ?? null,
            node: hello.node ?? null,
            mqtt: hello.proto,
            trust: hello.trust,
          },
    session:
      reported === undefined
        ? null
        : { state: reported.session.state, since: reported.session.since ?? null },
    generation: reported?.cred.gen ?? null,
    locked: reported?.locked === true,
    latencyMs: seen?.health?.latencyMs ?? null,
    endpoints: (reported?.endpoints ?? []).map((e) => ({
      name: e.name,
      state: e.state,
      url: e.url ?? null,
      by: e.by ?? null,
      leaseEnd: e.lease_end ?? null,
      code: e.code ?? null,
    })),
    sessions: facts?.sessions ?? [],
    credentials: (facts?.credentials ?? []).map(({ id, gen, createdAt, acl, ownerId }) => ({
      id,
      gen,
      ageS: ageOf(createdAt, settings.nowMs),
      acl,
      ownerId,
    })),
    lastError: lastErrorOf(seen),
    conditions,
  };
};

/** The rows of a fleet, by name: every device that either side knows. `facts` is null without the API. */
export const fleetRows = (
  seen: ReadonlyMap<string, DeviceSeen>,
  facts: FleetFacts | null,
  settings: WatchSettings,
): readonly DeviceRow[] => {
  const names = new Set([...seen.keys(), ...(facts?.devices.keys() ?? [])]);
  return [...names]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((device) =>
      deviceRow(device, seen.get(device), facts === null ? null : (facts.devices.get(device) ?? NO_FACTS), {
        ...settings,
        pools: facts?.pools ?? [],
      }),
    );
};
