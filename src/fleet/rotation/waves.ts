/** How a rotation spreads: waves, and when it stops by itself. Pure. */
import { failed, fault, ok, type Result } from '../../core/errors.ts';

/** A number of devices, or a share of all of them. */
export type Amount =
  | { readonly kind: 'count'; readonly value: number }
  | { readonly kind: 'percent'; readonly value: number };

/** One canary, then a tenth, then half, then all. */
export const DEFAULT_WAVES = '1,10%,50%,100%';
/** Beyond it a rotation stops. */
export const DEFAULT_MAX_FAILURES = '5%';

/** Reads `5` or `10%`. */
export const parseAmount = (text: string): Amount | undefined => {
  const match = /^(\d{1,7})(%?)$/.exec(text.trim());
  if (match?.[1] === undefined) return undefined;
  const value = Number(match[1]);
  if (match[2] === '%') return value <= 100 ? { kind: 'percent', value } : undefined;
  return { kind: 'count', value };
};

/** The amount of `total`, rounded down. */
export const amountOf = (amount: Amount, total: number): number =>
  amount.kind === 'count' ? Math.min(amount.value, total) : Math.floor((total * amount.value) / 100);

/** Reads `1,10%,50%,100%`: how far each wave goes, counted from the first device. */
export const parseWaves = (text: string): Result<readonly Amount[]> => {
  const amounts = text.split(',').map(parseAmount);
  const isGood = amounts.length > 0 && amounts.every((a) => a !== undefined && a.value > 0);
  return isGood
    ? ok(amounts as readonly Amount[])
    : failed(fault('BAD_ARGS', 'Waves are numbers or percentages with commas between: 1,10%,100%.', false));
};

/** Cuts the devices into waves. Every device is in exactly one, and what the last amount leaves is a wave of its own. */
export const planWaves = <T>(
  devices: readonly T[],
  amounts: readonly Amount[],
): readonly (readonly T[])[] => {
  const total = devices.length;
  const ends = amounts.map((amount) => Math.max(1, amountOf(amount, total)));
  const waves: (readonly T[])[] = [];
  let from = 0;
  for (const end of [...ends, total]) {
    if (end > from && from < total) {
      waves.push(devices.slice(from, end));
      from = Math.min(end, total);
    }
  }
  return waves;
};

export interface Tally {
  readonly total: number;
  readonly failed: number;
  /** Index of the wave that runs. */
  readonly wave: number;
  readonly waves: number;
}

/**
 * Whether to go on. The first of several waves is the canary: one failure in it is enough. After that, as many as
 * `most` of all devices may fail.
 */
export const mayGoOn = ({ total, failed: failures, wave, waves }: Tally, most: Amount): boolean =>
  waves > 1 && wave === 0 ? failures === 0 : failures <= amountOf(most, total);

export interface Pace {
  readonly perMinute: number;
  /** Null while nothing is known. */
  readonly leftS: number | null;
}

const PACE_WINDOW_MS = 60_000;

/** Throughput over the last minute, and what is left at that rate. `doneAtMs` are monotonic moments, ascending. */
export const paceOf = (doneAtMs: readonly number[], startMs: number, nowMs: number, left: number): Pace => {
  const fromMs = Math.max(startMs, nowMs - PACE_WINDOW_MS);
  const recent = doneAtMs.filter((at) => at >= fromMs).length;
  const spanMs = nowMs - fromMs;
  if (recent === 0 || spanMs <= 0) return { perMinute: 0, leftS: left === 0 ? 0 : null };
  const perMinute = (recent * 60_000) / spanMs;
  return { perMinute, leftS: Math.ceil((left / perMinute) * 60) };
};
