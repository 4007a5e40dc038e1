/** Processes: which end, and when the next one starts. */

import type { Desired } from './desired.ts';
import { LONG_CONNECT_MS, SHORT_CONNECT_MS } from './dial.ts';
import { isLive, type Observed, type TunnelView } from './observed.ts';
import type { Collector } from './plan-collector.ts';
import { isDiscarded, limitOf, type Roles, stagedSwap } from './plan-roles.ts';

/** A connect that lasts longer gets a handshake beside it, which tells whether it hangs in a dead path. */
const PROBE_BESIDE_AFTER_MS = 2000;
/** So often the account must say that it has no session left before one of ours is ended for another. */
export const LIMIT_TRIES = 2;

/** Nothing of this tunnel can be saved: its session is gone for good, or its process does not answer. */
const isDead = (t: TunnelView): boolean => t.phase === 'lost' && t.lostReason !== 'heartbeat';

/** Drains or ends what must not run while no session is wanted. */
export const planStop = (o: Observed, c: Collector): void => {
  for (const t of o.tunnels) {
    if (t.phase === 'starting' || isDead(t)) c.act({ kind: 'kill', tunnel: t.id });
    else if (isLive(t)) c.act({ kind: 'drain', tunnel: t.id });
  }
};

/** Ends what is dead, and starts that nobody waits for any more. */
export const planDead = (o: Observed, roles: Roles, c: Collector): void => {
  for (const t of o.tunnels)
    if (isDead(t) || (t.phase === 'starting' && t !== roles.target)) c.act({ kind: 'kill', tunnel: t.id });
};

/** Without heartbeats a drain may never end; where it blocks another tunnel the process is ended instead. */
export const endTunnel = (t: TunnelView, isInTheWay: boolean, c: Collector): void =>
  c.act({ kind: t.phase === 'lost' && isInTheWay ? 'kill' : 'drain', tunnel: t.id });

/** A tunnel on a discarded token goes at once when it holds nothing that is wanted; else it waits for its successor. */
export const planDiscarded = (d: Desired, roles: Roles, c: Collector): void => {
  for (const t of roles.others) {
    const isUseful = [...d.endpoints.keys()].some((name) => t.endpoints[name] !== undefined);
    if (isDiscarded(d, t) && !isUseful) c.act({ kind: 'drain', tunnel: t.id });
  }
};

const planProbeBeside = (o: Observed, starting: TunnelView, c: Collector): void => {
  if (o.dial.probing) return;
  if (c.due(starting.startedAt + PROBE_BESIDE_AFTER_MS) && c.due(o.dial.nextProbeAt))
    c.act({ kind: 'probe', depth: 'tls' });
};

/** A swap that cannot have both sessions ends the old one, also when the new one is there and only lacks endpoints. */
export const planBreak = (d: Desired, roles: Roles, c: Collector): void => {
  if (stagedSwap(d)?.breakFirst === true) for (const t of roles.others) endTunnel(t, true, c);
};

/** Makes room for the session that is wanted, where the account allows only one. True while it is being made. */
const planRoom = (d: Desired, o: Observed, roles: Roles, c: Collector): boolean => {
  const swap = stagedSwap(d);
  if (swap?.breakFirst === true) return o.tunnels.length > 0;
  const limit = limitOf(o, roles.slot);
  if (swap !== null || limit === undefined || limit.attempt < LIMIT_TRIES) return false;
  for (const t of roles.others) endTunnel(t, true, c);
  return o.tunnels.some((t) => t.connectedAt !== null);
};

/** Starts the target, when there is none and its time has come; while the edge is silent, asks it by a probe first. */
export const planStart = (d: Desired, o: Observed, roles: Roles, now: number, c: Collector): void => {
  const { slot, target } = roles;
  if (target !== undefined) {
    if (target.phase === 'starting') planProbeBeside(o, target, c);
    return;
  }
  if (!d.usable[slot] || planRoom(d, o, roles, c)) return;
  // One process at a time: one that is dying may still hold its session at the edge.
  if (o.tunnels.some((t) => t.phase === 'dying' || t.phase === 'starting' || isDead(t))) return;
  if (!c.due(o.dial.refused[slot]?.notBefore ?? now) || !c.due(o.dial.held[slot]?.notBefore ?? now)) return;
  if (o.dial.edge === 'silent') {
    if (!o.dial.probing && c.due(o.dial.nextProbeAt)) c.act({ kind: 'probe', depth: 'tcp' });
    return;
  }
  if (!c.due(o.dial.notBefore)) return;
  const connectDeadlineMs = o.dial.failures % 3 === 2 ? LONG_CONNECT_MS : SHORT_CONNECT_MS;
  c.act({ kind: 'start', slot, epoch: d.epoch, connectDeadlineMs });
};
