/** What endpoints carried over all their copies: totals stay when a copy closes or its process ends. */
import type { EndpointCounters } from '../core/endpoint.ts';
import type { TunnelId } from '../core/tunnel-event.ts';
import { addCounters, noCounters, retired } from '../core/view.ts';
import type { Supervisor } from './supervisor.ts';

export interface TrafficTotals {
  /** Totals of copies that are gone, by endpoint. */
  past(): ReadonlyMap<string, EndpointCounters>;
  /** One copy closed. */
  endpointClosed(tunnel: TunnelId, endpoint: string): void;
  /** A process ended, and every copy with it. */
  tunnelEnded(tunnel: TunnelId): void;
}

export const createTrafficTotals = (
  supervisor: () => Pick<Supervisor, 'counters' | 'dropCounters'>,
): TrafficTotals => {
  const past = new Map<string, EndpointCounters>();

  const endpointClosed = (tunnel: TunnelId, endpoint: string): void => {
    const counted = supervisor().counters().get(tunnel)?.[endpoint];
    if (counted === undefined) return;
    past.set(endpoint, addCounters(past.get(endpoint) ?? noCounters(), retired(counted)));
    supervisor().dropCounters(tunnel, endpoint);
  };

  return {
    past: () => past,
    endpointClosed,
    tunnelEnded: (tunnel) => {
      for (const endpoint of Object.keys(supervisor().counters().get(tunnel) ?? {}))
        endpointClosed(tunnel, endpoint);
    },
  };
};
