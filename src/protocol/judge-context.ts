/** What both judges need: the verified content of a message, and rules of time. */
import { type EnvelopeType, readEnvelope, verifyEnvelope } from './envelope.ts';
import type { RingKey, Trust } from './keyset.ts';
import type { ClockState } from './schema-primitives.ts';

/** A message as the link delivers it. */
export interface RawMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
}

/** Counters of what was dropped without an answer; `health.sec` carries them. */
export type DropCounter = 'bad_sig' | 'replay' | 'too_big' | 'bad_json' | 'rate' | 'retained' | 'topic';

/** Silently refused: nothing goes out but the counter. `reason` is for the local log. */
export interface Dropped {
  readonly verdict: 'dropped';
  readonly counter: DropCounter;
  readonly reason: string;
}

export const dropped = (counter: DropCounter, reason: string): Dropped => ({
  verdict: 'dropped',
  counter,
  reason,
});

/** The device's idea of now: the highest of system clock, stored floor and build time, and how sure it is. */
export interface JudgeTime {
  readonly state: ClockState;
  readonly nowS: number;
}

/** Clocks of sender and device may differ by so much, either way. */
export const SKEW_S = 90;

/** True when times in messages can be compared with the device's clock. */
export const isClockSure = (time: JudgeTime): boolean => time.state === 'ntp' || time.state === 'rtc';

/** How a device decides whom to believe. In broker mode everybody whom the broker lets publish is believed. */
export type TrustPolicy = { readonly mode: 'broker' } | { readonly mode: 'signed'; readonly trust: Trust };

/** In broker mode the one issuer there is. */
export const BROKER_ISSUER = 'broker';

/** A message whose origin is established; `key` is undefined in broker mode. */
export interface Origin {
  readonly issuer: string;
  readonly key: RingKey | undefined;
  readonly content: Uint8Array;
}

/** A key's life. With an unsure clock now may be later than known, never earlier: so `exp` still binds, `nbf` cannot. */
const isInForce = (key: RingKey, time: JudgeTime): boolean => {
  if (key.role === 'root') return true;
  const { nbf = 0, exp } = key.limits;
  if (exp !== undefined && time.nowS > exp + SKEW_S) return false;
  return !isClockSure(time) || time.nowS >= nbf - SKEW_S;
};

/** Establishes who sent a message: undefined when no believed key in force signed it. */
export const openOrigin = async (
  text: string,
  typ: EnvelopeType,
  trust: Trust,
  time: JudgeTime,
): Promise<Origin | undefined> => {
  const shape = readEnvelope(text, typ);
  const key = shape && trust.ring.get(shape.kid);
  if (shape === undefined || key === undefined || !isInForce(key, time)) return undefined;
  const content = await verifyEnvelope(shape, key.verifier);
  return content && { issuer: shape.kid, key, content };
};

/** After its end a key set is good for one thing only: to be replaced. */
export const isSetOver = (policy: TrustPolicy, time: JudgeTime): boolean =>
  policy.mode === 'signed' && time.nowS > policy.trust.set.expires + SKEW_S;
