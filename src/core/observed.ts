/** Observed state: what the supervisor knows of its tunnel processes. Plain data; only `reduce` makes a new one. */
import type { Fault } from './errors.ts';
import type { NgrokClass } from './ngrok-codes.ts';
import type { CutStreams, Slot, TunnelId } from './tunnel-event.ts';

/** Epoch of a tunnel whose token left its slot: whatever the slot holds now, this tunnel proves nothing about it. */
export const DISCARDED = -1;

export type EndpointPhase = 'opening' | 'bound' | 'serving' | 'closing';

/** One endpoint inside one tunnel process. */
export interface EndpointView {
  /** Fingerprint of the spec it was bound with; a wanted endpoint with another key is a change. */
  readonly key: string;
  readonly phase: EndpointPhase;
  readonly url: string;
  readonly endpointId: string;
  /** Monotonic milliseconds since when it is open, or being opened: it is for visitors from its bind to its close. */
  readonly since: number;
}

/**
 * `wobbling`: the session is lost and the SDK still has its few seconds. `lost`: it has not; to be replaced.
 * `dying`: told to end without drain.
 */
export type TunnelPhase = 'starting' | 'connected' | 'wobbling' | 'lost' | 'draining' | 'dying';

export interface TunnelView {
  readonly id: TunnelId;
  readonly slot: Slot;
  readonly generation: number;
  /** Rises with each `restart`; a tunnel of an older epoch is to be replaced. `DISCARDED` for a token that was given up. */
  readonly epoch: number;
  readonly pid: number | null;
  readonly phase: TunnelPhase;
  readonly lostReason: 'clock' | 'heartbeat' | 'unresponsive' | null;
  readonly startedAt: number;
  readonly connectDeadlineMs: number;
  readonly connectedAt: number | null;
  readonly sessionId: string;
  readonly latencyMs: number | null;
  readonly endpoints: Readonly<Record<string, EndpointView>>;
  /** Why it never connected, once it said so. */
  readonly fault: Fault | null;
  readonly cut: readonly CutStreams[];
}

/** A bind that the edge refused. Counts for one token slot and one spec. */
export interface BindRefusal {
  readonly endpoint: string;
  readonly key: string;
  readonly slot: Slot;
  readonly fault: Fault;
  readonly cls: NgrokClass;
  readonly attempt: number;
  readonly at: number;
  readonly retryAt: number;
}

/** What the edge said to one token, when it said no. */
export interface SlotRefusal {
  readonly fault: Fault;
  readonly attempt: number;
  readonly at: number;
  readonly notBefore: number;
}

/** Another answer than a refused token that keeps one slot from connecting for a while. */
export interface SlotHold extends SlotRefusal {
  readonly cls: NgrokClass;
}

/** When and how the next session may be tried. */
export interface Dial {
  /** Failures in a row; starts over once a session stayed up. */
  readonly failures: number;
  readonly notBefore: number;
  /** `silent`: the edge did not answer, and nothing but a probe may be tried until one goes through. */
  readonly edge: 'unknown' | 'silent';
  /** What the last probe of a silent edge found; null before the first. */
  readonly portOpen: boolean | null;
  readonly probing: boolean;
  /** When the last probe began. */
  readonly probedAt: number;
  readonly nextProbeAt: number;
  /** When a probe last found no way through; null before the first. */
  readonly probeFailedAt: number | null;
  /** A connect was just given up because a probe beside it went through: the next one is not, without more evidence. */
  readonly trusting: boolean;
  readonly lastFault: Fault | null;
  /** Slots whose token was refused. */
  readonly refused: Readonly<Partial<Record<Slot, SlotRefusal>>>;
  /** Slots that must wait for another reason that the edge gave: limits, the account, "try again later". */
  readonly held: Readonly<Partial<Record<Slot, SlotHold>>>;
}

export interface Observed {
  readonly tunnels: readonly TunnelView[];
  readonly bindRefusals: readonly BindRefusal[];
  readonly dial: Dial;
  /** Endpoints whose upstream did not answer the last connection. */
  readonly upstreamFaults: Readonly<Record<string, Fault>>;
  readonly saturated: boolean;
  /** Times a session came back after one was lost, whoever ended the process of that one. */
  readonly reconnects: number;
  /** There was a session, and it was not ended in order. */
  readonly hadSession: boolean;
  /** Monotonic milliseconds since when no session is connected; null while one is. */
  readonly downSince: number | null;
  /** Since when the session state is what it is. */
  readonly upSince: number | null;
}

export const initialObserved = (now: number): Observed => ({
  tunnels: [],
  bindRefusals: [],
  dial: {
    failures: 0,
    notBefore: now,
    edge: 'unknown',
    portOpen: null,
    probing: false,
    probedAt: now,
    nextProbeAt: now,
    probeFailedAt: null,
    trusting: false,
    lastFault: null,
    refused: {},
    held: {},
  },
  upstreamFaults: {},
  saturated: false,
  reconnects: 0,
  hadSession: false,
  downSince: now,
  upSince: null,
});

/** A tunnel that carries or may soon carry traffic. */
export const isLive = (t: TunnelView): boolean =>
  t.phase === 'connected' || t.phase === 'wobbling' || (t.phase === 'lost' && t.lostReason === 'heartbeat');

/** The newest tunnel of a slot and epoch that is starting, connected or wobbling. */
export const tunnelFor = (o: Observed, slot: Slot, epoch: number): TunnelView | undefined =>
  o.tunnels.findLast(
    (t) =>
      t.slot === slot &&
      t.epoch === epoch &&
      (t.phase === 'starting' || t.phase === 'connected' || t.phase === 'wobbling'),
  );
