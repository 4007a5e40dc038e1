/**
 * What one supervisor leaves to the next of the same boot, so that a hand-over or a crash is no news: since when things
 * are as they are, and what the cloud was told. Times are of the monotonic clock, which both share; whatever befalls the
 * wall clock in between makes no difference.
 */
import { type BucketPolicy, fullBucket, retryAfterS, take } from '../core/bucket.ts';
import type { Clock } from '../core/clock.ts';
import type { BindRefusal, Observed } from '../core/observed.ts';
import { isRecord } from '../protocol/strict-json.ts';
import type { SpentBudget } from './event-budget.ts';
import type { AdoptedTunnel, Store } from './ports.ts';
import type { Told } from './transitions.ts';
import type { WallTime } from './wall-time.ts';

export interface ContinuityRecord {
  readonly v: 1;
  /** When this was so; what a tunnel says of a later time is newer. */
  readonly at: number;
  /** Written at the end of a hand-over, not on the way. */
  readonly released: boolean;
  readonly offsetMs: number;
  /** Those that had a session. */
  readonly tunnels: readonly string[];
  readonly reconnects: number;
  readonly hadSession: boolean;
  readonly upSince: number | null;
  readonly downSince: number | null;
  readonly bindRefusals: readonly BindRefusal[];
  readonly told: Told;
  readonly spent: SpentBudget;
}

/** Where nothing runs that could be adopted, a hand-over is known by its time. */
const RELEASED_FOR_MS = 120_000;
/** Changes come one by one or not at all; a device that flaps may write so much at once, and then so seldom. */
const WRITES: BucketPolicy = { burst: 30, perSecond: 1 / 300 };
/** Changes come in groups. */
const WRITE_AFTER_MS = 200;

const isTime = (value: unknown): boolean => value === null || Number.isFinite(value);
const isList = (value: unknown, isItem: (item: Readonly<Record<string, unknown>>) => boolean): boolean =>
  Array.isArray(value) && value.every((item) => isRecord(item) && isItem(item));
const areTexts = (of: Readonly<Record<string, unknown>>, names: readonly string[]): boolean =>
  names.every((name) => typeof of[name] === 'string');

const isRefusal = (r: Readonly<Record<string, unknown>>): boolean =>
  areTexts(r, ['endpoint', 'key', 'slot', 'cls']) &&
  isRecord(r['fault']) &&
  areTexts(r['fault'], ['code', 'message']) &&
  [r['attempt'], r['at'], r['retryAt']].every(Number.isFinite);

const isTold = (value: unknown): boolean =>
  isRecord(value) &&
  isRecord(value['session']) &&
  areTexts(value['session'], ['state']) &&
  isTime(value['lostAt']) &&
  isList(value['endpoints'], (e) => areTexts(e, ['name', 'state', 'url']) && isTime(e['since'])) &&
  isList(
    value['conditions'],
    (c) => areTexts(c, ['code', 'severity', 'message']) && Number.isFinite(c['since']),
  );

/** Undefined for anything else: the next supervisor then begins anew. */
export const readContinuity = (value: unknown): ContinuityRecord | null | undefined => {
  if (value === null) return null;
  if (!isRecord(value) || value['v'] !== 1 || !isTold(value['told'])) return undefined;
  const { at, released, offsetMs, tunnels, reconnects, hadSession, upSince, downSince } = value;
  if (![at, offsetMs, reconnects].every(Number.isFinite) || !isTime(upSince) || !isTime(downSince))
    return undefined;
  if (typeof released !== 'boolean' || typeof hadSession !== 'boolean') return undefined;
  const { spent } = value;
  if (!isRecord(spent) || ![spent['dayAt'], spent['bytes']].every(Number.isFinite)) return undefined;
  if (!Array.isArray(tunnels) || !tunnels.every((id) => typeof id === 'string')) return undefined;
  return isList(value['bindRefusals'], isRefusal) ? (value as unknown as ContinuityRecord) : undefined;
};

/** The record, where it is of this boot and of what goes on here; null where everything begins anew. */
export const continued = (
  record: ContinuityRecord | null,
  adopted: readonly AdoptedTunnel[],
  now: number,
): ContinuityRecord | null => {
  if (record === null || record.at > now) return null;
  const isTheirs = adopted.some(({ tunnel }) => record.tunnels.includes(tunnel));
  return isTheirs || (record.released && now - record.at < RELEASED_FOR_MS) ? record : null;
};

export interface ContinuityOptions {
  readonly clock: Clock;
  readonly wall: WallTime;
  /** Null: nothing is kept. */
  readonly store: Store<ContinuityRecord | null> | null;
  observed(): Observed;
  told(): Told;
  spent(): SpentBudget;
}

export interface Continuity {
  /** What the one before left. */
  left(): ContinuityRecord | null;
  /** Keeps from now on. */
  start(): void;
  /** Something may have changed. */
  look(): void;
  /** The next supervisor goes on from here. */
  release(): Promise<void>;
  /** Nothing goes on: the next start begins anew. */
  end(): Promise<void>;
}

export const createContinuity = ({
  clock,
  wall,
  store,
  observed,
  told,
  spent,
}: ContinuityOptions): Continuity => {
  let isKeeping = false;
  let written = '';
  let cancel: (() => void) | undefined;
  let bucket = fullBucket(WRITES, clock.now());

  const content = (): Omit<ContinuityRecord, 'v' | 'at' | 'released' | 'offsetMs' | 'spent'> => {
    const { tunnels, reconnects, hadSession, upSince, downSince, bindRefusals } = observed();
    return {
      tunnels: tunnels.filter((t) => t.connectedAt !== null).map((t) => t.id),
      reconnects,
      hadSession,
      upSince,
      downSince,
      bindRefusals,
      told: told(),
    };
  };

  const write = async (released: boolean): Promise<void> => {
    const now = content();
    written = JSON.stringify(now);
    const at = clock.now();
    await store?.save({ v: 1, at, released, offsetMs: wall.offsetMs(), spent: spent(), ...now });
  };

  const waitMs = (): number => {
    const next = take(bucket, WRITES, clock.now());
    return next.isAllowed ? WRITE_AFTER_MS : retryAfterS(next.bucket, WRITES) * 1000;
  };

  const look = (): void => {
    if (store === null || !isKeeping || cancel !== undefined || JSON.stringify(content()) === written) return;
    cancel = clock.after(waitMs(), () => {
      cancel = undefined;
      bucket = take(bucket, WRITES, clock.now()).bucket;
      void write(false);
    });
  };

  const stop = (): void => {
    isKeeping = false;
    cancel?.();
    cancel = undefined;
  };

  return {
    left: () => store?.get() ?? null,
    start: () => {
      isKeeping = true;
      look();
    },
    look,
    release: async () => {
      stop();
      await write(true);
    },
    end: async () => {
      stop();
      await store?.save(null);
    },
  };
};
