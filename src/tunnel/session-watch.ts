import type { Clock } from '../core/clock.ts';
import type { ProcessEvent } from './messages.ts';

/** What the SDK has to bring a lost session back by itself. Its next tries come minutes apart. */
const OUTAGE_MS = 5_000;
/** A beat comes right after Auth and before the rebinds: only when no new disconnect follows it is the session back. */
const SETTLE_MS = 1_000;
/** Beats that may stay away before the session counts as lost. */
const MISSED_BEATS = 4;
const MISSED_ANSWERS = 2;

/** Judges a session by its callbacks. */
export interface SessionWatch {
  /** The session is up: beats are expected from now on. */
  connected(): void;
  /** The SDK's disconnect callback. */
  disconnected(): void;
  /** The SDK's heartbeat callback: the round trip, or null when no answer came in time. */
  beat(latencyMs: number | null): void;
  /** A call to the SDK got no answer in time: nothing more can be expected of this session. */
  unresponsive(): void;
  /** Puts the standing state out again for a supervisor that has just taken over. */
  repeat(): void;
  stop(): void;
  /** True from connect to a loss, and again once it is back. */
  readonly isConnected: boolean;
  /** True once a heartbeat was answered. */
  readonly hasBeat: boolean;
}

/** Watches one session; `emit` gets `disconnected`, `reconnected`, `lost` (once) and `heartbeat`. */
export const createSessionWatch = (
  clock: Clock,
  intervalMs: number,
  emit: (event: ProcessEvent) => void,
): SessionWatch => {
  const never = (): void => undefined;
  let isConnected = false;
  let hasBeat = false;
  let missed = 0;
  let lost: 'clock' | 'heartbeat' | 'unresponsive' | null = null;
  let outage: { expired: boolean; settling: boolean } | null = null;
  let cancelOutage = never;
  let cancelSettle = never;
  let cancelSilence = never;

  const lose = (reason: 'clock' | 'heartbeat' | 'unresponsive'): void => {
    if (lost !== null) return;
    lost = reason;
    emit({ type: 'lost', reason });
  };
  const expectBeat = (): void => {
    cancelSilence();
    cancelSilence = clock.after(intervalMs * MISSED_BEATS, () => {
      if (outage === null) lose('heartbeat');
    });
  };
  const back = (): void => {
    outage = null;
    cancelOutage();
    isConnected = true;
    if (lost === null) emit({ type: 'reconnected' });
  };

  return {
    connected() {
      isConnected = true;
      expectBeat();
    },
    disconnected() {
      cancelSettle();
      isConnected = false;
      if (outage !== null) {
        const wasSettling = outage.settling;
        outage.settling = false;
        if (outage.expired && wasSettling) lose('clock');
        return;
      }
      const begun = { expired: false, settling: false };
      outage = begun;
      if (lost === null) emit({ type: 'disconnected' });
      cancelOutage = clock.after(OUTAGE_MS, () => {
        begun.expired = true;
        if (!begun.settling) lose('clock');
      });
    },
    beat(latencyMs) {
      if (latencyMs === null) {
        missed += 1;
        if (missed >= MISSED_ANSWERS && outage === null) lose('heartbeat');
        return;
      }
      hasBeat = true;
      missed = 0;
      expectBeat();
      emit({ type: 'heartbeat', latencyMs });
      if (outage === null || outage.settling) return;
      outage.settling = true;
      cancelSettle = clock.after(SETTLE_MS, back);
    },
    unresponsive: () => lose('unresponsive'),
    repeat() {
      if (lost !== null) emit({ type: 'lost', reason: lost });
      else if (outage !== null) emit({ type: 'disconnected' });
    },
    stop() {
      cancelOutage();
      cancelSettle();
      cancelSilence();
    },
    get isConnected() {
      return isConnected;
    },
    get hasBeat() {
      return hasBeat;
    },
  };
};
