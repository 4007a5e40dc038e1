/** What follows from a tunnel's event beside the plan: the log, totals, what is told of tokens, and ngrok's own commands. */
import type { Observed } from '../core/observed.ts';
import type { ConnectionNote, Slot, TunnelEvent } from '../core/tunnel-event.ts';
import type { CredentialWatch } from './credential-watch.ts';
import type { Log } from './log.ts';
import type { TrafficTotals } from './traffic-totals.ts';
import type { EventDraft } from './transitions.ts';

export interface TunnelWatchOptions {
  readonly log: Log;
  readonly totals: TrafficTotals;
  readonly credentials: CredentialWatch;
  observed(): Observed;
  event(draft: EventDraft): void;
  /** Connections that came too fast to be told one by one. */
  uncounted(endpoint: string, connections: number): void;
  /** ngrok's dashboard or API asks for this through the session. */
  remote(op: 'stop' | 'restart'): void;
}

const connectionEvent = (ep: string, note: ConnectionNote): EventDraft => ({
  type: `conn.${note.what}`,
  ep,
  data: {
    ...(note.client === null ? {} : { client: note.client }),
    ...(note.what === 'closed' ? { in: note.bytesIn, out: note.bytesOut, ms: note.tookMs } : {}),
  },
});

/** To be called with every event after it was folded. */
export const createTunnelWatch = (options: TunnelWatchOptions): ((event: TunnelEvent) => void) => {
  const { log, totals, credentials } = options;
  /** Slot of each tunnel that was started, for events that come when it is gone. */
  const slots = new Map<string, Slot>();

  return (event) => {
    for (const t of options.observed().tunnels) slots.set(t.id, t.slot);
    const { tunnel } = event;
    const slot = slots.get(tunnel);
    switch (event.type) {
      case 'connected':
        if (slot !== undefined) credentials.accepted(slot);
        log.info({ tunnel, session: event.sessionId, tookMs: event.tookMs }, 'session up');
        break;
      case 'connect-failed':
        log.warn({ tunnel, ...event.fault }, 'session refused');
        if (event.fault.code === 'NGROK_AUTH_REFUSED' && slot !== undefined)
          credentials.refused(slot, event.fault);
        break;
      case 'disconnected':
        log.warn({ tunnel, event: event.type }, 'session lost');
        break;
      case 'lost':
        log.warn({ tunnel, event: event.type, reason: event.reason }, 'session lost');
        break;
      case 'bound':
        log.info({ tunnel, endpoint: event.endpoint, url: event.url }, 'endpoint bound');
        break;
      case 'bind-failed':
        log.warn({ tunnel, endpoint: event.endpoint, ...event.fault }, 'endpoint refused');
        break;
      case 'unbound':
        totals.endpointClosed(tunnel, event.endpoint);
        break;
      case 'connections':
        for (const note of event.notes) options.event(connectionEvent(event.endpoint, note));
        if (event.untold > 0) options.uncounted(event.endpoint, event.untold);
        break;
      case 'remote':
        log.warn({ op: event.op }, 'remote command from ngrok');
        options.remote(event.op);
        break;
      case 'exited':
        totals.tunnelEnded(tunnel);
        slots.delete(tunnel);
        log.info(
          { tunnel, code: event.code, signal: event.signal, stderr: event.stderr },
          'tunnel process ended',
        );
        break;
      default:
        break;
    }
  };
};
