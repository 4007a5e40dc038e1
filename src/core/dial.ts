/** How the next session may be tried, after each thing that can befall the last one. Pure parts of the reducer. */
import {
  LADDER_RESET_AFTER_MS,
  LIMIT_QUICK_WAITS_MS,
  laterDelayMs,
  limitDelayMs,
  PROBE_GAP_MS,
  probeDelayMs,
  restartDelayMs,
  SLOW,
  slowDelayMs,
} from './backoff.ts';
import { type Fault, fault } from './errors.ts';
import { classifyNgrok, isKnownNgrok, isSessionLimit, type NgrokClass } from './ngrok-codes.ts';
import type { Dial, SlotHold, TunnelView } from './observed.ts';
import type { Slot } from './tunnel-event.ts';

/** Time and chance at the moment of the event. */
export interface Moment {
  readonly now: number;
  readonly random01: number;
}

/** Deadline of a connect. */
export const SHORT_CONNECT_MS = 5000;
/** Every third try waits this long for slow links. */
export const LONG_CONNECT_MS = 20_000;
/** A handshake that takes no longer shows a path on which a healthy connect would be through by now. */
const QUICK_HANDSHAKE_MS = 1000;
/** A code that nobody listed is taken for passing so many times. */
const UNKNOWN_QUICK_TRIES = 3;

export const classOf = (f: Fault): NgrokClass =>
  f.ngrokCode === undefined ? 'R' : classifyNgrok(f.ngrokCode).class;

const without = <T>(
  map: Readonly<Partial<Record<Slot, T>>>,
  slot: Slot,
): Readonly<Partial<Record<Slot, T>>> => {
  const { [slot]: _, ...rest } = map;
  return rest as Readonly<Partial<Record<Slot, T>>>;
};

/** Failures in a row as they count after a tunnel ended: a session that stayed up wipes the slate. */
const failuresAfter = (dial: Dial, t: TunnelView, now: number): number =>
  (t.connectedAt !== null && now - t.connectedAt >= LADDER_RESET_AFTER_MS ? 0 : dial.failures) + 1;

/** A session was lost, or its process ended by itself: the ladder decides. */
export const afterLoss = (dial: Dial, t: TunnelView, now: number): Dial => {
  const failures = failuresAfter(dial, t, now);
  return { ...dial, failures, trusting: false, notBefore: now + restartDelayMs(failures) };
};

/** The process ended without having been told to. */
export const crashFault = (code: number | null, signal: string | null): Fault =>
  fault(
    'TUNNEL_CRASHED',
    `A tunnel process ended by itself (${signal ?? (code === null ? 'no exit code' : `exit code ${code}`)}); it is started again.`,
    true,
  );

const holdWaitMs = (f: Fault, cls: NgrokClass, attempt: number, random01: number): number => {
  if (isSessionLimit(f.ngrokCode)) {
    return (
      limitDelayMs(attempt, random01) ?? slowDelayMs(SLOW.RS, attempt - LIMIT_QUICK_WAITS_MS.length, random01)
    );
  }
  if (cls !== 'R') return slowDelayMs(SLOW[cls], attempt, random01);
  const isStrange = f.ngrokCode !== undefined && !isKnownNgrok(f.ngrokCode);
  return isStrange && attempt > UNKNOWN_QUICK_TRIES
    ? slowDelayMs(SLOW.RS, attempt - UNKNOWN_QUICK_TRIES, random01)
    : laterDelayMs(attempt, random01);
};

const refusedToken = (dial: Dial, slot: Slot, f: Fault, m: Moment): Dial => {
  const attempt = (dial.refused[slot]?.attempt ?? 0) + 1;
  // Three tries soon after each other, since an edge may be behind its own database; then hours.
  const waitMs = attempt < 3 ? 5000 * attempt : slowDelayMs(SLOW['F-cred'], attempt - 2, m.random01);
  const refusal = { fault: f, attempt, at: m.now, notBefore: m.now + waitMs };
  return { ...dial, refused: { ...dial.refused, [slot]: refusal }, held: without(dial.held, slot) };
};

const heldSlot = (dial: Dial, slot: Slot, f: Fault, cls: NgrokClass, m: Moment): Dial => {
  const before = dial.held[slot];
  const attempt = before?.cls === cls && before.fault.ngrokCode === f.ngrokCode ? before.attempt + 1 : 1;
  const notBefore = m.now + holdWaitMs(f, cls, attempt, m.random01);
  const hold: SlotHold = { fault: f, cls, attempt, at: m.now, notBefore };
  return { ...dial, held: { ...dial.held, [slot]: hold } };
};

/** The first session did not come about. An answer makes its own slot wait; no answer makes every slot probe first. */
export const afterConnectFailure = (dial: Dial, slot: Slot, f: Fault, m: Moment): Dial => {
  const base = { ...dial, failures: dial.failures + 1, lastFault: f, trusting: false };
  const cls = classOf(f);
  if (cls === 'F-cred') return refusedToken({ ...base, edge: 'unknown' }, slot, f, m);
  // No code and no hope of time curing it: a local matter, such as a missing file.
  if (f.ngrokCode !== undefined || !f.retryable)
    return heldSlot({ ...base, edge: 'unknown' }, slot, f, cls, m);
  // Probes keep their own beat: a connect that waited them out must not put the next one off.
  const isOnBeat = dial.probing || dial.nextProbeAt > m.now;
  return {
    ...base,
    edge: 'silent',
    nextProbeAt: isOnBeat ? dial.nextProbeAt : m.now + probeDelayMs(m.random01),
  };
};

export const afterConnected = (dial: Dial, slot: Slot): Dial => ({
  ...dial,
  edge: 'unknown',
  portOpen: null,
  trusting: false,
  lastFault: null,
  refused: without(dial.refused, slot),
  held: without(dial.held, slot),
});

/** A session of ours ended: the account has room for one again. */
export const afterSessionEnd = (dial: Dial): Dial => {
  const held = Object.fromEntries(
    Object.entries(dial.held).filter(([, hold]) => !isSessionLimit(hold.fault.ngrokCode)),
  );
  return Object.keys(held).length === Object.keys(dial.held).length ? dial : { ...dial, held };
};

export const withoutSlot = (dial: Dial, slot: Slot): Dial => ({
  ...dial,
  refused: without(dial.refused, slot),
  held: without(dial.held, slot),
});

/** Another address or route: what the edge held against the old one, and every pause, is over. */
export const afterNetworkChange = (dial: Dial, now: number): Dial => ({
  ...dial,
  notBefore: Math.min(dial.notBefore, now),
  nextProbeAt: Math.min(dial.nextProbeAt, now),
  held: mapSlots(dial.held, (hold) => (hold.fault.code === 'NGROK_NET' ? ending(hold, now) : hold)),
});

/** Somebody asks for another try now. Attempts still count, so that asking often does not make it hammer. */
export const asked = (dial: Dial, now: number): Dial => ({
  ...dial,
  notBefore: Math.min(dial.notBefore, now),
  nextProbeAt: Math.min(dial.nextProbeAt, now),
  refused: mapSlots(dial.refused, (refusal) => ending(refusal, now)),
  held: mapSlots(dial.held, (hold) => ending(hold, now)),
});

const ending = <T extends { readonly notBefore: number }>(wait: T, now: number): T => ({
  ...wait,
  notBefore: Math.min(wait.notBefore, now),
});

const mapSlots = <T>(
  map: Readonly<Partial<Record<Slot, T>>>,
  edit: (value: T) => T,
): Readonly<Partial<Record<Slot, T>>> => ({
  ...(map.a === undefined ? {} : { a: edit(map.a) }),
  ...(map.b === undefined ? {} : { b: edit(map.b) }),
});

/** What a probe says of the edge; whether it also condemns a connect under way says `isStuck`. */
export const afterProbe = (dial: Dial, depth: 'tcp' | 'tls', answered: boolean, m: Moment): Dial => {
  const nextProbeAt = Math.max(m.now + PROBE_GAP_MS, dial.probedAt + probeDelayMs(m.random01));
  const base: Dial = { ...dial, probing: false, nextProbeAt };
  // A handshake that fails says nothing of the port: a path may take connections and swallow all that comes.
  const isClosed = depth === 'tcp' && dial.edge === 'silent';
  return answered
    ? { ...base, edge: 'unknown', portOpen: true, notBefore: m.now }
    : { ...base, probeFailedAt: m.now, portOpen: isClosed ? false : dial.portOpen };
};

/**
 * A handshake went through quickly beside a connect that has been waiting: the connect hangs in a path that is dead by
 * now. Twice in a row only when a probe failed in between, since an edge may also be slow after the handshake.
 */
export const isStuck = (dial: Dial, t: TunnelView, now: number): boolean =>
  t.phase === 'starting' &&
  (!dial.trusting || (dial.probeFailedAt !== null && dial.probeFailedAt > t.startedAt)) &&
  t.startedAt < dial.probedAt &&
  now - dial.probedAt <= QUICK_HANDSHAKE_MS;
