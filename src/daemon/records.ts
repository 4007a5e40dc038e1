/** The documents the daemon keeps in its state folder, and what makes each of them valid when it is read back. */
import type { SavedOverride } from '../core/override.ts';
import type { DesiredDocument } from '../protocol/desired-schema.ts';
import { isSeqWindow, type SeqWindows } from '../protocol/seq-window.ts';
import { isRecord } from '../protocol/strict-json.ts';
import { checkDesired } from '../protocol/validate.ts';
import type { ActiveHours } from './active-hours.ts';

/** The desired document in force. */
export interface DesiredRecord {
  readonly document: DesiredDocument;
  readonly digest: string;
  /** Epoch milliseconds of its first acceptance; `ttl_s` counts from here. */
  readonly acceptedAtMs: number;
}

/** What must survive a restart besides tokens, journal and documents. */
export interface RuntimeRecord {
  readonly overrides: readonly SavedOverride[];
  /** ngrok's remote stop: closed until a command. */
  readonly parked: boolean;
  readonly windows: SeqWindows;
  /** Highest time seen, epoch seconds: the clock is never believed to be before it. */
  readonly floorS: number;
  /** MQTT version that worked, by broker URL, and since when (epoch ms). */
  readonly proto: Readonly<Record<string, { readonly version: 4 | 5; readonly sinceMs: number }>>;
  /** Digests of commands that crashed the daemon twice. */
  readonly poison: readonly string[];
  /** How old the document of this digest was at least, in milliseconds: what its time-to-live has used up. */
  readonly documentAge?: { readonly digest: string; readonly ms: number };
  /** Clock hours with traffic, by endpoint; absent in what older versions wrote. */
  readonly activeHours?: Readonly<Record<string, ActiveHours>>;
}

/** Kept apart from the document, so that losing the document does not open the door to an older one. */
export interface RevFloor {
  readonly rev: number;
}

export const initialRuntime: RuntimeRecord = {
  overrides: [],
  parked: false,
  windows: {},
  floorS: 0,
  proto: {},
  poison: [],
};

const isOverride = (value: unknown): value is SavedOverride =>
  isRecord(value) &&
  typeof value['endpoint'] === 'string' &&
  (value['want'] === 'up' || value['want'] === 'down') &&
  (value['endsAtWallMs'] === null || typeof value['endsAtWallMs'] === 'number') &&
  (value['leftMs'] === null || typeof value['leftMs'] === 'number');

const isHours = (value: unknown): value is ActiveHours =>
  isRecord(value) && [value['month'], value['total'], value['lastHour']].every(Number.isSafeInteger);

const isAge = (value: unknown): boolean =>
  isRecord(value) && typeof value['digest'] === 'string' && Number.isSafeInteger(value['ms']);

export const readRuntime = (value: unknown): RuntimeRecord | undefined => {
  if (!isRecord(value) || !Array.isArray(value['overrides']) || !value['overrides'].every(isOverride))
    return undefined;
  const { windows, floorS, proto, poison, parked } = value;
  if (!isRecord(windows) || !Object.values(windows).every(isSeqWindow)) return undefined;
  if (typeof floorS !== 'number' || typeof parked !== 'boolean' || !isRecord(proto) || !Array.isArray(poison))
    return undefined;
  const { activeHours = {}, documentAge } = value;
  if (documentAge !== undefined && !isAge(documentAge)) return undefined;
  if (!isRecord(activeHours) || !Object.values(activeHours).every(isHours)) return undefined;
  return value as unknown as RuntimeRecord;
};

export const readDesired = (value: unknown): DesiredRecord | null | undefined => {
  if (value === null) return null;
  if (!isRecord(value) || typeof value['digest'] !== 'string' || typeof value['acceptedAtMs'] !== 'number')
    return undefined;
  return checkDesired(value['document']).ok ? (value as unknown as DesiredRecord) : undefined;
};

export const readRevFloor = (value: unknown): RevFloor | undefined =>
  isRecord(value) && Number.isSafeInteger(value['rev']) ? (value as unknown as RevFloor) : undefined;
