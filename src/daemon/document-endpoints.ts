/** Endpoints of the desired document as this device can take them; what it cannot take is kept by name, to be reported. */
import type { EndpointSpec } from '../core/endpoint.ts';
import type { Fault, Result } from '../core/errors.ts';
import type { DesiredRecord } from './records.ts';

type DocumentEndpoint = DesiredRecord['document']['endpoints'][number];

const unusable = (e: DocumentEndpoint): EndpointSpec => ({
  name: e.name,
  proto: e.proto,
  upstream: e.upstream,
  url: e.url ?? '',
  on: e.on,
  policy: e.policy ?? '',
  binding: 'public',
  metadata: '',
  pooling: true,
  metering: 'on',
  idleCloseS: 0,
  windows: [],
  ttlS: 0,
  origin: 'document',
});

/** `denied`: why an endpoint cannot be taken as it stands, by name. */
export const documentEndpoints = (
  { document }: DesiredRecord,
  toSpec: (endpoint: DocumentEndpoint) => Result<EndpointSpec>,
): { readonly specs: readonly EndpointSpec[]; readonly denied: ReadonlyMap<string, Fault> } => {
  const specs: EndpointSpec[] = [];
  const denied = new Map<string, Fault>();
  for (const endpoint of document.endpoints) {
    const spec = toSpec(endpoint);
    if (!spec.ok) denied.set(endpoint.name, spec.fault);
    specs.push(spec.ok ? spec.value : unusable(endpoint));
  }
  return { specs, denied };
};
