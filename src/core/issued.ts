/** An action that is under way, as observed state remembers it. */
import type { Action } from './action.ts';
import { editEndpoint, editTunnel } from './edit-observed.ts';
import { isEndpointLimit } from './ngrok-codes.ts';
import type { Observed, TunnelView } from './observed.ts';
import type { TunnelId } from './tunnel-event.ts';

/** Marks an action as under way, so that the next plan does not ask for it again. */
export const issued = (o: Observed, a: Action, id: TunnelId, generation: number, now: number): Observed => {
  switch (a.kind) {
    case 'start': {
      const view: TunnelView = {
        id,
        slot: a.slot,
        generation,
        epoch: a.epoch,
        pid: null,
        phase: 'starting',
        lostReason: null,
        startedAt: now,
        connectDeadlineMs: a.connectDeadlineMs,
        connectedAt: null,
        sessionId: '',
        latencyMs: null,
        endpoints: {},
        fault: null,
        cut: [],
      };
      return { ...o, tunnels: [...o.tunnels, view] };
    }
    case 'bind':
      return editTunnel(o, a.tunnel, (t) => ({
        ...t,
        endpoints: {
          ...t.endpoints,
          [a.spec.name]: { key: a.key, phase: 'opening', url: '', endpointId: '', since: now },
        },
      }));
    case 'unbind':
      return editEndpoint(o, a.tunnel, a.endpoint, (v) => ({ ...v, phase: 'closing' }));
    case 'drain':
      return editTunnel(o, a.tunnel, (t) => ({ ...t, phase: 'draining' }));
    case 'kill':
      return editTunnel(o, a.tunnel, (t) => ({ ...t, phase: 'dying' }));
    case 'probe':
      return { ...o, dial: { ...o.dial, probing: true, probedAt: now } };
    // Once there is room it is asked for anew.
    case 'break-first':
      return { ...o, bindRefusals: o.bindRefusals.filter((r) => !isEndpointLimit(r.fault.ngrokCode)) };
    case 'commit':
    case 'rollback':
    case 'finish-swap':
    case 'fall-back':
      return o;
  }
};
