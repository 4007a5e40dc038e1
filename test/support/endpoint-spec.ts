import type { BindSpec, EndpointSpec } from '../../src/core/endpoint.ts';

/** A declared endpoint with the defaults of a configuration file, and `more` over it. */
export const endpointSpec = (name: string, more: Partial<EndpointSpec> = {}): EndpointSpec => ({
  name,
  proto: 'http',
  upstream: 'hmi',
  url: '',
  on: false,
  policy: '',
  binding: 'public',
  metadata: '',
  pooling: true,
  metering: 'on',
  idleCloseS: 0,
  windows: [],
  ttlS: 0,
  origin: 'file',
  ...more,
});

/** The same as a tunnel process opens it, where every upstream is one port. */
export const bindOf = (spec: EndpointSpec): Omit<BindSpec, 'closesAtMs'> => {
  const { name, proto, url, binding, metadata, pooling, metering, policy, upstream } = spec;
  const target = { ref: upstream, host: '127.0.0.1', port: 1 };
  return { name, proto, url, binding, metadata, pooling, metering, policy, upstream: target };
};
