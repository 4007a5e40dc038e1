/**
 * MQTT 5 or 3.1.1, by what the broker did before. Pure.
 *
 * A refusal that names the version decides at once; two closes before CONNACK in a row earn 3.1.1 one try. What works
 * is remembered per URL for a day, then 5 is tried again. Refused credentials never change the version.
 */
import type { FailureKind } from './link-errors.ts';

export type ProtocolVersion = 4 | 5;

/** Kept in the state folder per broker URL. */
export interface ProtocolMemory {
  readonly version: ProtocolVersion;
  /** Epoch milliseconds. */
  readonly sinceMs: number;
}

export interface ProtocolState {
  readonly remembered: ProtocolMemory | null;
  /** Set by a refusal of the other version; holds until a connection or a refusal of this one. */
  readonly forced: ProtocolVersion | null;
  /** Closes before CONNACK in a row with version 5. */
  readonly earlyCloses: number;
}

/** Failures that a CONNACK told. */
const ANSWERED: ReadonlySet<FailureKind> = new Set<FailureKind>(['auth', 'refused', 'broker-wide']);

const REMEMBERED_MS = 24 * 3_600_000;
const CLOSES_BEFORE_TRIAL = 2;

export const initialProtocol = (remembered: ProtocolMemory | null): ProtocolState => ({
  remembered,
  forced: null,
  earlyCloses: 0,
});

/** The version for the next attempt. */
export const chooseProtocol = (
  state: ProtocolState,
  configured: 'auto' | '5' | '4',
  wallMs: number,
): ProtocolVersion => {
  if (configured !== 'auto') return configured === '5' ? 5 : 4;
  if (state.forced !== null) return state.forced;
  if (state.earlyCloses >= CLOSES_BEFORE_TRIAL) return 4;
  if (state.remembered?.version === 4 && wallMs - state.remembered.sinceMs < REMEMBERED_MS) return 4;
  return 5;
};

/** A CONNACK said yes to `version`. A remembered 3.1.1 keeps its age, so that 5 gets its try a day after the fall-back. */
export const protocolWorked = (
  state: ProtocolState,
  version: ProtocolVersion,
  wallMs: number,
): ProtocolState => {
  const isKept = state.remembered?.version === version && wallMs - state.remembered.sinceMs < REMEMBERED_MS;
  return {
    remembered: isKept ? state.remembered : { version, sinceMs: wallMs },
    forced: null,
    earlyCloses: 0,
  };
};

/** An attempt with `version` failed before its CONNACK said yes. */
export const protocolFailed = (
  state: ProtocolState,
  version: ProtocolVersion,
  kind: FailureKind,
): ProtocolState => {
  if (kind === 'version') {
    return { remembered: null, forced: version === 5 ? 4 : 5, earlyCloses: 0 };
  }
  if (kind === 'closed-early') {
    // One try for 3.1.1; if that is closed too, the version was not the reason.
    if (version === 5) return { ...state, earlyCloses: state.earlyCloses + 1 };
    return { ...state, earlyCloses: 0, forced: null };
  }
  // A CONNACK to the one try of 3.1.1, whatever it said: closes were its way to refuse 5. Trying 5 again between two
  // refused logins would only hide what is wrong.
  if (version === 4 && state.earlyCloses >= CLOSES_BEFORE_TRIAL && ANSWERED.has(kind))
    return { ...state, earlyCloses: 0, forced: 4 };
  return state.earlyCloses === 0 ? state : { ...state, earlyCloses: 0 };
};
