/** How far the newest rotation has come, told from credentials and reports alone: whoever runs it, wherever. Pure. */
import { decodeTime } from 'ulid';
import type { FleetFacts } from '../watch/facts.ts';

export interface RotationView {
  readonly id: string;
  /** `fleet`, `site:NAME` or `device`. */
  readonly scope: string;
  /** Epoch milliseconds. */
  readonly startedAtMs: number;
  readonly total: number;
  /** Devices with exactly one credential, the new one, which they report. */
  readonly done: number;
  /** Devices that have the new credential and are not through. */
  readonly underWay: number;
}

/** Null when no credential names a rotation. */
export const rotationView = (
  facts: FleetFacts,
  generationOf: (device: string) => number | null,
): RotationView | null => {
  const devices = [...facts.devices].filter(([, { credentials }]) => credentials.length > 0);
  // ULIDs sort by their time.
  const ids = devices.flatMap(([, { credentials }]) => credentials.flatMap(({ rotation }) => rotation ?? []));
  const id = ids.toSorted((a, b) => (a < b ? 1 : -1))[0];
  if (id === undefined) return null;
  const made = devices.filter(([, { credentials }]) => credentials.some(({ rotation }) => rotation === id));
  const scope = made[0]?.[1].credentials.find(({ rotation }) => rotation === id)?.scope ?? 'fleet';
  const site = scope.startsWith('site:') ? scope.slice(5) : null;
  const inScope =
    scope === 'device' ? made : devices.filter(([, device]) => site === null || device.site === site);
  const done = made.filter(([device, { credentials }]) => {
    const [only] = credentials;
    return credentials.length === 1 && only?.gen === generationOf(device);
  }).length;
  return {
    id,
    scope,
    startedAtMs: decodeTime(id),
    total: inScope.length,
    done,
    underWay: made.length - done,
  };
};
