/** A fleet in one look: the rows, what belongs to no device, and the counts. Pure. */
import { type DeviceRow, type DeviceState, fleetRows } from './device-row.ts';
import type { FleetFacts } from './facts.ts';
import type { FleetCondition, WatchSettings } from './judge.ts';
import type { DeviceSeen } from './seen.ts';

export interface FleetSummary {
  readonly total: number;
  readonly counts: Readonly<Record<DeviceState, number>>;
  /** By agent version. */
  readonly versions: Readonly<Record<string, number>>;
  readonly rows: readonly DeviceRow[];
  /** What ngrok has in the account and no device owns. */
  readonly conditions: readonly FleetCondition[];
}

const ofNobody = (facts: FleetFacts): readonly FleetCondition[] => [
  ...facts.credentialsOfNobody
    .filter(({ isUnrestricted }) => isUnrestricted)
    .map(
      ({ id }): FleetCondition => ({
        code: 'TOKEN_UNRESTRICTED',
        severity: 'warning',
        message: `${id} names no device and may bind everything in the account.`,
      }),
    ),
  ...facts.sessionsOfNobody.map(
    ({ id, ip, credential }): FleetCondition => ({
      code: 'STRAY_SESSION',
      severity: 'warning',
      message: `${id} from ${ip} on ${credential} names no device.`,
    }),
  ),
];

/** Whether a device is what an operator wants to be woken for. */
export const isAlarming = ({ state }: Pick<DeviceRow, 'state'>): boolean =>
  state === 'offline' || state === 'stuck';

/** Counts rows that are there. `facts` is null without the API. */
export const summarizeRows = (rows: readonly DeviceRow[], facts: FleetFacts | null): FleetSummary => {
  const counts: Record<DeviceState, number> = { online: 0, offline: 0, stuck: 0, unknown: 0 };
  const versions: Record<string, number> = {};
  for (const { state, versions: has } of rows) {
    counts[state] += 1;
    const version = has?.agent ?? 'unknown';
    versions[version] = (versions[version] ?? 0) + 1;
  }
  return {
    total: rows.length,
    counts,
    versions,
    rows,
    conditions: facts === null ? [] : ofNobody(facts),
  };
};

/** Joins both sides. `facts` is null without the API. */
export const summarize = (
  seen: ReadonlyMap<string, DeviceSeen>,
  facts: FleetFacts | null,
  settings: WatchSettings,
): FleetSummary => summarizeRows(fleetRows(seen, facts, settings), facts);
