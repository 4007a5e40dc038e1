import type { Listener, Session } from '@ngrok/ngrok';
import type { BindSpec } from '../core/endpoint.ts';
import { type Fault, failed, fault, ok, type Result } from '../core/errors.ts';
import { hostPort } from './relay/resolve.ts';

/** URL of the upstream itself, for an endpoint without relay. */
export const directUrl = (spec: BindSpec): string => {
  const { upstream, proto } = spec;
  const scheme = proto === 'http' ? (upstream.tls ? 'https' : 'http') : upstream.tls ? 'tls' : 'tcp';
  return `${scheme}://${hostPort(upstream)}`;
};

/** A fault when the SDK cannot reach this upstream by itself in the way the configuration asks for. */
export const checkDirect = (spec: BindSpec): Fault | null => {
  const { tls, ref } = spec.upstream;
  if (tls === undefined || (!tls.caFile && !tls.serverName)) return null;
  return fault(
    'CONFIG_INVALID',
    `Endpoint ${spec.name}: upstream ${ref} has its own caFile or serverName, which needs metering on.`,
    false,
  );
};

/** Where the SDK is to bind: host for http and tls, `host:port` for tcp, empty for a random address. */
export const publicAddress = (spec: BindSpec): Result<{ scheme: string; address: string }> => {
  if (spec.url === '') return ok({ scheme: spec.proto === 'http' ? 'https' : spec.proto, address: '' });
  const match = /^(https?|tcp|tls):\/\/([^/?#@\s]+)\/?$/i.exec(spec.url);
  const scheme = match?.[1]?.toLowerCase();
  const host = match?.[2]?.toLowerCase();
  const isFitting = scheme === spec.proto || (spec.proto === 'http' && scheme === 'https');
  if (scheme === undefined || host === undefined || !isFitting) {
    return failed(
      fault('CONFIG_INVALID', `Endpoint ${spec.name}: its URL does not fit protocol ${spec.proto}.`, false),
    );
  }
  return ok({ scheme, address: spec.proto === 'tcp' ? host : host.replace(/:\d+$/, '') });
};

/**
 * Starts the bind and forwards to `toUrl`. Throws what the SDK throws. `verifyTls` counts for direct upstreams only.
 */
export const bindEndpoint = (session: Session, spec: BindSpec, toUrl: string): Promise<Listener> => {
  const place = publicAddress(spec);
  if (!place.ok) throw new Error(place.fault.message);
  const { scheme, address } = place.value;
  switch (spec.proto) {
    case 'http': {
      const builder = session.httpEndpoint();
      if (scheme === 'http') builder.scheme('http');
      if (address !== '') builder.domain(address);
      return finish(builder, spec, toUrl);
    }
    case 'tcp': {
      const builder = session.tcpEndpoint();
      if (address !== '') builder.remoteAddr(address);
      return finish(builder, spec, toUrl);
    }
    case 'tls': {
      const builder = session.tlsEndpoint();
      if (address !== '') builder.domain(address);
      return finish(builder, spec, toUrl);
    }
  }
};

type AnyBuilder = ReturnType<Session['httpEndpoint' | 'tcpEndpoint' | 'tlsEndpoint']>;

const finish = (builder: AnyBuilder, spec: BindSpec, toUrl: string): Promise<Listener> => {
  builder.poolingEnabled(spec.pooling);
  if (spec.metadata !== '') builder.metadata(spec.metadata);
  if (spec.policy !== '') builder.trafficPolicy(spec.policy);
  if (spec.binding !== 'public') builder.binding(spec.binding);
  if (spec.metering === 'off') builder.verifyUpstreamTls(spec.upstream.tls?.verify ?? true);
  return builder.listenAndForward(toUrl);
};
