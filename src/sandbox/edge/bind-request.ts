import type { EdgeEndpoint } from '../contract.ts';
import { isJson, type Json, objectAt, textAt, textsAt } from './fields.ts';

export type EndpointProto = EdgeEndpoint['proto'];

/** A Bind as the agent sent it. Empty strings mean "not given". */
export interface BindRequest {
  /** Set at a rebind: the endpoint's id and its first token. */
  readonly id: string;
  readonly token: string;
  readonly proto: EndpointProto;
  /** Host name for http, https and tls. */
  readonly name: string;
  readonly subdomain: string;
  /** `host:port` for tcp. */
  readonly addr: string;
  readonly forwardsTo: string;
  readonly forwardsProto: string;
  readonly metadata: string;
  readonly bindings: readonly string[];
  readonly pooled: boolean;
  /** The options as they came; the answer echoes them. */
  readonly opts: Json;
}

const PROTOS: readonly string[] = ['http', 'https', 'tcp', 'tls'];
const isProto = (value: string): value is EndpointProto => PROTOS.includes(value);

/** Null when the request names no protocol that this edge has. */
export const parseBind = (request: unknown): BindRequest | null => {
  if (!isJson(request)) return null;
  const proto = textAt(request, 'Proto');
  if (!isProto(proto)) return null;
  const opts = objectAt(request, 'Opts');
  const extra = objectAt(request, 'Extra');
  return {
    id: textAt(request, 'Id'),
    token: textAt(extra, 'Token'),
    proto,
    name: textAt(opts, 'Hostname') || textAt(opts, 'Domain'),
    subdomain: textAt(opts, 'Subdomain'),
    addr: textAt(opts, 'Addr'),
    forwardsTo: textAt(request, 'ForwardsTo'),
    forwardsProto: textAt(request, 'ForwardsProto'),
    metadata: textAt(extra, 'Metadata'),
    bindings: textsAt(extra, 'Bindings'),
    pooled: extra['PoolingEnabled'] === true,
    opts,
  };
};
