import type { Clock } from '../core/clock.ts';
import type { ProcessEvent } from './messages.ts';

/** What the SDK has to bring a lost session back by itself. Its next tries come minutes apart. */
const OUTAGE_MS = 5_000;
/**
 * A beat comes before the answer to Auth and before the rebinds, so it does not prove that the session is back. And the
 * callback for a try that failed comes only at the end of the wait after it, so its absence proves nothing either. But
 * the SDK closes its connection at once when Auth or a rebind is refused.
 */
const SETTLE_MS = 1_000;
/** Where the connection cannot be seen, a further beat must come within so many intervals. */
const PROOF_INTERVALS = 1.5;
/** Beats that may stay away before the session counts as lost. */
const MISSED_BEATS = 4;
const MISSED_ANSWERS = 2;

interface Outage {
  isExpired: boolean;
  /** How far the SDK's present try has come. */
  trial: 'none' | 'settling' | 'waiting-for-beat';
}

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
  /** Monotonic milliseconds since when the session stands, or stood last; null before the first connect. */
  readonly connectedAt: number | null;
  /** True once a heartbeat was answered. */
  readonly hasBeat: boolean;
}

/**
 * Watches one session; `emit` gets `disconnected`, `reconnected`, `lost` (once) and `heartbeat`. `hasConnection` looks
 * for the SDK's connection to the edge; null when it cannot tell. It must not reject.
 */
export const createSessionWatch = (
  clock: Clock,
  intervalMs: number,
  hasConnection: () => Promise<boolean | null>,
  emit: (event: ProcessEvent) => void,
): SessionWatch => {
  const never = (): void => undefined;
  let isConnected = false;
  let connectedAt: number | null = null;
  let hasBeat = false;
  let missed = 0;
  let lost: 'clock' | 'heartbeat' | 'unresponsive' | null = null;
  let outage: Outage | null = null;
  let cancelOutage = never;
  let cancelTrial = never;
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
    cancelTrial();
    isConnected = true;
    connectedAt = clock.now();
    if (lost === null) emit({ type: 'reconnected' });
  };
  /** The try that a beat spoke for has failed. */
  const fail = (): void => {
    cancelTrial();
    if (outage === null || outage.trial === 'none') return;
    outage.trial = 'none';
    if (outage.isExpired) lose('clock');
  };
  const settle = async (current: Outage): Promise<void> => {
    const isThere = await hasConnection();
    if (outage !== current || current.trial !== 'settling') return;
    if (isThere === true) back();
    else if (isThere === false) fail();
    else {
      current.trial = 'waiting-for-beat';
      cancelTrial = clock.after(intervalMs * PROOF_INTERVALS, fail);
    }
  };

  return {
    connected() {
      isConnected = true;
      connectedAt = clock.now();
      expectBeat();
    },
    disconnected() {
      isConnected = false;
      if (outage !== null) {
        fail();
        return;
      }
      const begun: Outage = { isExpired: false, trial: 'none' };
      outage = begun;
      if (lost === null) emit({ type: 'disconnected' });
      cancelOutage = clock.after(OUTAGE_MS, () => {
        begun.isExpired = true;
        if (begun.trial === 'none') lose('clock');
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
      const current = outage;
      if (current === null || current.trial === 'settling') return;
      if (current.trial === 'waiting-for-beat') back();
      else {
        current.trial = 'settling';
        cancelTrial = clock.after(SETTLE_MS, () => void settle(current));
      }
    },
    unresponsive: () => lose('unresponsive'),
    repeat() {
      if (lost !== null) emit({ type: 'lost', reason: lost });
      else if (outage !== null) emit({ type: 'disconnected' });
    },
    stop() {
      cancelOutage();
      cancelTrial();
      cancelSilence();
    },
    get isConnected() {
      return isConnected;
    },
    get connectedAt() {
      return connectedAt;
    },
    get hasBeat() {
      return hasBeat;
    },
  };
};
