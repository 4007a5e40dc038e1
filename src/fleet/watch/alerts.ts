/** When somebody must be told: a device went off line, is stuck, or is well again. Pure. */
import type { DeviceRow, DeviceState } from './device-row.ts';
import type { FleetCondition } from './judge.ts';

export interface Alert {
  readonly device: string;
  readonly site: string | null;
  /** `online` means that it is well again. */
  readonly state: DeviceState;
  readonly was: DeviceState | null;
  readonly conditions: readonly FleetCondition[];
}

/** What was told last, by device. */
export type Told = ReadonlyMap<string, DeviceState>;

const isBad = (state: DeviceState | undefined): boolean => state === 'offline' || state === 'stuck';

/** The alerts that are due, and what has been told once they are out. */
export const dueAlerts = (
  told: Told,
  rows: Iterable<DeviceRow>,
): { readonly alerts: readonly Alert[]; readonly told: Told } => {
  const alerts: Alert[] = [];
  const next = new Map(told);
  for (const { device, site, state, conditions } of rows) {
    const was = told.get(device);
    const isNews = isBad(state) ? was !== state : isBad(was) && state === 'online';
    if (!isNews) continue;
    alerts.push({ device, site, state, was: was ?? null, conditions });
    if (state === 'online') next.delete(device);
    else next.set(device, state);
  }
  return { alerts, told: next };
};
