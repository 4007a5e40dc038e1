/** Small changes of an `Observed`, from which the reducer is made. */
import type { EndpointView, Observed, TunnelView } from './observed.ts';
import type { TunnelId } from './tunnel-event.ts';

export const editTunnel = (o: Observed, id: TunnelId, edit: (t: TunnelView) => TunnelView): Observed => ({
  ...o,
  tunnels: o.tunnels.map((t) => (t.id === id ? edit(t) : t)),
});

/** Null takes it away. Nothing changes where the tunnel or the endpoint is none. */
export const editEndpoint = (
  o: Observed,
  id: TunnelId,
  name: string,
  edit: (e: EndpointView) => EndpointView | null,
): Observed =>
  editTunnel(o, id, (t) => {
    const found = t.endpoints[name];
    if (found === undefined) return t;
    const { [name]: _, ...rest } = t.endpoints;
    const edited = edit(found);
    return { ...t, endpoints: edited === null ? rest : { ...rest, [name]: edited } };
  });
