import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import type { Clock } from '../../core/clock.ts';

/** The SDK cuts its session at the 513th stream, leaked ones included; this stays well clear of it. */
const MAX_STREAMS = 400;
/** A relayed stream holds the SDK's socket, ours, and the one to the upstream. */
const DESCRIPTORS_PER_STREAM = 3;
/** For the runtime, the session, the channel, relay servers, and connections that are refused in a burst. */
const RESERVED_DESCRIPTORS = 64;
/** Fewer free descriptors than this are as good as none. */
const FEW_DESCRIPTORS = 16;
/** Without a refusal for so long, and below the cap again, the process counts as good. */
const GOOD_AFTER_MS = 5_000;

/** The limit is read again at most so often. */
const MEASURE_EVERY_MS = 500;

/** Soft limit of open descriptors of this process, which can be changed from outside while we run; null when it cannot be read now. */
const readDescriptorLimit = (): number | null => {
  try {
    const line = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return line === undefined || line === 'unlimited' ? Number.POSITIVE_INFINITY : Number(line);
  } catch {
    // Not Linux, or no descriptor left to read it with.
    return null;
  }
};

/** True when this process has hardly a descriptor left. */
export const isShortOfDescriptors = async (): Promise<boolean> => {
  if (process.platform !== 'linux') return false;
  const limit = readDescriptorLimit();
  try {
    return limit === null || (await readdir('/proc/self/fd')).length + FEW_DESCRIPTORS > limit;
  } catch {
    return true;
  }
};

/** How many streams the whole process may hold, and whether it is at its limit. */
export interface StreamBudget {
  /** Takes one slot; false when there is none, which is counted. `isRoomMade`: another stream is just being closed for it. */
  admit(isRoomMade: boolean): boolean;
  release(): void;
  /** Counts a connection that failed for want of descriptors. */
  exhausted(): void;
  /** Descriptors were found to be short; connections that the system refused by itself are not known one by one. */
  short(): void;
  /** True when the next connection would be refused. */
  readonly isFull: boolean;
  /** Called from time to time: reads the limit again and ends saturation. */
  tick(): void;
  /** Puts the standing state out again for a new supervisor. */
  repeat(): void;
}

/** Makes the process's budget; `emit` gets the edges of saturation with the number refused so far. */
export const createStreamBudget = (
  clock: Clock,
  emit: (on: boolean, refused: number) => void,
  descriptorLimit: () => number | null = readDescriptorLimit,
): StreamBudget => {
  let open = 0;
  let refused = 0;
  let isSaturated = false;
  let lastRefusalAtMs = 0;
  let cap = MAX_STREAMS;

  let measuredAtMs = Number.NEGATIVE_INFINITY;
  const measure = (): void => {
    if (clock.now() - measuredAtMs < MEASURE_EVERY_MS) return;
    measuredAtMs = clock.now();
    const limit = descriptorLimit();
    if (limit === null) return;
    const byDescriptors = Math.floor((limit - RESERVED_DESCRIPTORS) / DESCRIPTORS_PER_STREAM);
    cap = Math.max(1, Math.min(MAX_STREAMS, byDescriptors));
  };
  const saturate = (): void => {
    lastRefusalAtMs = clock.now();
    if (isSaturated) return;
    isSaturated = true;
    emit(true, refused);
  };
  const refuse = (): void => {
    refused += 1;
    saturate();
  };
  measure();

  return {
    admit(isRoomMade) {
      measure();
      if (open >= cap && !isRoomMade) {
        refuse();
        return false;
      }
      open += 1;
      return true;
    },
    release() {
      open -= 1;
    },
    exhausted: refuse,
    short: saturate,
    get isFull() {
      return open >= cap;
    },
    tick() {
      measure();
      if (!isSaturated || open >= cap || clock.now() - lastRefusalAtMs < GOOD_AFTER_MS) return;
      isSaturated = false;
      emit(false, refused);
    },
    repeat() {
      if (isSaturated) emit(true, refused);
    },
  };
};
