/** How a tunnel process that outlived its supervisor enters observed state. Pure. */
import type { Observed, TunnelView } from '../core/observed.ts';
import type { ContinuityRecord } from './continuity.ts';
import type { AdoptedTunnel } from './ports.ts';

type AdoptedEndpoint = AdoptedTunnel['endpoints'][number];

/** Nothing befell it after the record was written, so the record is right about it. */
const isRecorded = (at: number | undefined, past: ContinuityRecord | null): past is ContinuityRecord =>
  past !== null && at !== undefined && at <= past.at;

const endpointSince = (
  { spec, url, boundAt }: AdoptedEndpoint,
  past: ContinuityRecord | null,
  now: number,
): number => {
  const told = isRecorded(boundAt, past) ? past.told.endpoints.find((e) => e.name === spec.name) : undefined;
  const since = told?.state === 'up' && told.url === url ? told.since : null;
  return Math.min(since ?? boundAt ?? now, now);
};

/** `key`: fingerprint of what each endpoint was bound with. */
export const adoptedView = (
  a: AdoptedTunnel,
  key: (name: string) => string,
  past: ContinuityRecord | null,
  now: number,
): TunnelView => ({
  id: a.tunnel,
  slot: a.slot,
  generation: a.generation,
  epoch: 0,
  pid: a.pid,
  phase: a.connected ? 'connected' : 'wobbling',
  lostReason: null,
  startedAt: now,
  connectDeadlineMs: 0,
  connectedAt: now,
  sessionId: a.sessionId,
  latencyMs: null,
  fault: null,
  cut: [],
  endpoints: Object.fromEntries(
    a.endpoints.map((e) => [
      e.spec.name,
      {
        key: key(e.spec.name),
        phase: e.serving ? 'serving' : 'bound',
        url: e.url,
        endpointId: e.endpointId,
        since: endpointSince(e, past, now),
      },
    ]),
  ),
});

/** Since when a session stands without a gap, and whether one was lost and made again while nobody looked. */
const sessionPast = (
  adopted: readonly AdoptedTunnel[],
  past: ContinuityRecord | null,
  now: number,
): { readonly upSince: number | null; readonly missed: number } => {
  const up = adopted.filter((a) => a.connected);
  if (up.length === 0) return { upSince: null, missed: 0 };
  const known = up.filter((a) => past?.tunnels.includes(a.tunnel) === true);
  if (past !== null && past.upSince !== null && known.some((a) => isRecorded(a.connectedAt, past)))
    return { upSince: Math.min(past.upSince, now), missed: 0 };
  const since = Math.min(now, ...up.map((a) => a.connectedAt ?? now));
  return { upSince: since, missed: known.some((a) => (a.connectedAt ?? 0) > (past?.at ?? now)) ? 1 : 0 };
};

/** Observed state with the adopted tunnels in it, as it goes on from the supervisor before. */
export const withAdopted = (
  o: Observed,
  adopted: readonly AdoptedTunnel[],
  views: readonly TunnelView[],
  past: ContinuityRecord | null,
  now: number,
): Observed => {
  const { upSince, missed } = sessionPast(adopted, past, now);
  const slots = new Set(adopted.filter((a) => past?.tunnels.includes(a.tunnel) === true).map((a) => a.slot));
  return {
    ...o,
    tunnels: [...o.tunnels, ...views],
    // Of a token that runs no more nobody knows whether its slot still holds it.
    bindRefusals: past?.bindRefusals.filter((r) => slots.has(r.slot)) ?? o.bindRefusals,
    reconnects: (past?.reconnects ?? 0) + missed,
    hadSession: views.length > 0 || (past?.hadSession ?? o.hadSession),
    downSince: upSince === null ? (past?.downSince ?? o.downSince) : null,
    upSince,
  };
};
