/**
 * When to try again. Pure: the history and a random number in, the next history and a delay out.
 *
 * Full jitter from 1 s to 300 s; a connection counts as a success only after a minute, so flapping keeps its penalty.
 */
import type { FailureKind } from './link-errors.ts';

/** A connection must have stood so long for the ladder to start at its foot again. */
export const SETTLED_MS = 60_000;
const BASE_MS = 1000;
const CAP_MS = 300_000;
/** A clock that comes right, or a file that is mended, is to be noticed within a minute. */
const SOON_CAP_MS = 30_000;
const AUTH_BASE_MS = 5000;
const VERSION_BASE_MS = 200;
const FLOOR_MS = 100;
const HOUR_MS = 3_600_000;
const FLOOD_PAUSE_MS = 60_000;
/** The first refusals of a certificate may be a broker in mid-change. */
const QUICK_CERTIFICATE_TRIES = 2;
/** Window for counting connections that did not last, and take-overs. */
const WINDOW_MS = 300_000;
const MOST_QUICK_DROPS = 9;
const FLAPPING_DROPS = 3;
const FLAPPING_FLOOR_MS = 5000;
const STORM_TAKEOVERS = 3;
const STORM_MIN_MS = 60_000;
const STORM_MAX_MS = 600_000;
const HELD_MS = 60_000;
/**
 * Many brokers do not tell a take-over. A silent close that the very next connect gets over was one, or a restart in
 * just that moment; when our session is gone too, a restart is a little likelier.
 */
const SILENT_WEIGHT = { sessionPresent: 1, sessionLost: 0.75 } as const;

export interface ReconnectState {
  /** Tries since the last connection that lasted. */
  readonly attempts: number;
  readonly certificateRefusals: number;
  /** When connections ended that had lasted less than a minute. */
  readonly quickDrops: readonly number[];
  readonly takeovers: readonly { readonly atMs: number; readonly weight: number }[];
  /** A silent close of a standing link, which the next connect will explain. */
  readonly unexplainedMs: number | null;
  /** True while another client seems to use our id. */
  readonly isDuplicate: boolean;
}

export const INITIAL_RECONNECT: ReconnectState = {
  attempts: 0,
  certificateRefusals: 0,
  quickDrops: [],
  takeovers: [],
  unexplainedMs: null,
  isDuplicate: false,
};

export interface Down {
  readonly kind: FailureKind;
  /** Monotonic milliseconds. */
  readonly atMs: number;
  /** How long the connection stood after CONNACK; null when it never did. */
  readonly upMs: number | null;
}

const recent = (atMs: number, now: number): boolean => now - atMs < WINDOW_MS;

const isStormy = (takeovers: ReconnectState['takeovers']): boolean =>
  takeovers.reduce((sum, t) => sum + t.weight, 0) >= STORM_TAKEOVERS;

/**
 * A silent close waits for the next connect to explain it. NATS closes on the first connect within a second of a
 * take-over as well, before it greets.
 */
const unexplained = (before: ReconnectState, { kind, atMs, upMs }: Down): number | null => {
  if (kind === 'closed' && upMs !== null) return atMs;
  const isHeld = kind === 'closed-early' && before.unexplainedMs !== null;
  return isHeld && atMs - (before.unexplainedMs ?? 0) < HELD_MS ? before.unexplainedMs : null;
};

/** A connection was made. A restarted broker often lost the session; after a take-over it is mostly there. */
export const afterUp = (state: ReconnectState, atMs: number, sessionPresent: boolean): ReconnectState => {
  if (state.unexplainedMs === null) return state;
  const takeovers = [
    ...state.takeovers.filter((t) => recent(t.atMs, atMs)),
    { atMs, weight: SILENT_WEIGHT[sessionPresent ? 'sessionPresent' : 'sessionLost'] },
  ];
  // Said while the link stands, so that the news gets out before the next take-over.
  return { ...state, unexplainedMs: null, takeovers, isDuplicate: state.isDuplicate || isStormy(takeovers) };
};

const jittered = (attempts: number, baseMs: number, capMs: number, random01: number): number =>
  Math.max(FLOOR_MS, random01 * Math.min(capMs, baseMs * 2 ** Math.min(attempts, 30)));

const baseDelayMs = (
  state: ReconnectState,
  { kind, upMs }: Down,
  spreadMs: number,
  random01: number,
): number => {
  const general = jittered(state.attempts, BASE_MS, CAP_MS, random01);
  switch (kind) {
    case 'broker-wide':
      return state.attempts === 0 && spreadMs > 0 ? random01 * spreadMs : general;
    case 'closed':
      // A settled link that the broker ends looks like the whole broker going.
      return upMs !== null && upMs >= SETTLED_MS && spreadMs > 0 ? random01 * spreadMs : general;
    case 'auth':
      return jittered(state.attempts, AUTH_BASE_MS, CAP_MS, random01);
    case 'certificate':
      return state.certificateRefusals < QUICK_CERTIFICATE_TRIES ? general : HOUR_MS * (0.9 + random01 / 5);
    case 'clock':
    case 'files':
      return jittered(state.attempts, BASE_MS, SOON_CAP_MS, random01);
    case 'version':
      // The other version is worth a try at once.
      return jittered(state.attempts, VERSION_BASE_MS, CAP_MS, random01);
    case 'flood':
      return FLOOD_PAUSE_MS;
    case 'network':
    case 'closed-early':
    case 'tls':
    case 'refused':
    case 'taken-over':
      return general;
  }
};

/**
 * A connection ended or did not come about.
 * @param spreadMs window over which a fleet that lost its broker comes back; 0 when not told
 * @param random01 uniform in [0, 1)
 * @returns the new history, and how long to wait before the next try
 */
export const afterDown = (
  before: ReconnectState,
  down: Down,
  spreadMs: number,
  random01: number,
): { readonly state: ReconnectState; readonly delayMs: number } => {
  const { kind, atMs, upMs } = down;
  const hasSettled = upMs !== null && upMs >= SETTLED_MS;
  const ladder = hasSettled ? { ...before, attempts: 0, certificateRefusals: 0 } : before;
  const quickDrops = [
    ...before.quickDrops.filter((t) => recent(t, atMs)),
    ...(upMs !== null && !hasSettled ? [atMs] : []),
  ];
  const takeovers = [
    ...before.takeovers.filter((t) => recent(t.atMs, atMs)),
    ...(kind === 'taken-over' ? [{ atMs, weight: 1 }] : []),
  ];
  const isStorm = isStormy(takeovers) && (kind === 'taken-over' || (kind === 'closed' && upMs !== null));
  const state: ReconnectState = {
    attempts: ladder.attempts + 1,
    certificateRefusals: kind === 'certificate' ? ladder.certificateRefusals + 1 : 0,
    quickDrops,
    takeovers,
    unexplainedMs: unexplained(before, down),
    isDuplicate: isStorm || (before.isDuplicate && !(upMs !== null && upMs >= WINDOW_MS)),
  };
  if (isStorm) return { state, delayMs: STORM_MIN_MS + random01 * (STORM_MAX_MS - STORM_MIN_MS) };
  let delayMs = baseDelayMs(ladder, down, spreadMs, random01);
  if (upMs !== null && quickDrops.length >= FLAPPING_DROPS)
    delayMs = Math.max(delayMs, FLAPPING_FLOOR_MS * (1 + random01 / 5));
  const oldest = quickDrops.at(-MOST_QUICK_DROPS);
  if (oldest !== undefined) delayMs = Math.max(delayMs, oldest + WINDOW_MS - atMs);
  return { state, delayMs };
};

/** A link that stood for five minutes without a take-over proves that the other client is gone. */
export const afterQuiet = (state: ReconnectState, upMs: number): ReconnectState =>
  state.isDuplicate && upMs >= WINDOW_MS ? { ...state, isDuplicate: false, takeovers: [] } : state;
