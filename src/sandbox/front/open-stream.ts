import type { Duplex } from 'node:stream';
import type { EdgeEndpoint } from '../contract.ts';
import { clientAddrOf, type Ends } from './address.ts';
import { proxyHeader } from './proxy-header.ts';

/** Opens a proxy stream and writes the PROXY header that the bind asked for. Rejects as `EdgeEndpoint.open` does. */
export const openStream = async (
  endpoint: EdgeEndpoint,
  ends: Ends,
  options: { readonly proxyProto: 0 | 1 | 2; readonly passthroughTls: boolean },
): Promise<Duplex> => {
  const stream = await endpoint.open({
    clientAddr: clientAddrOf(ends),
    passthroughTls: options.passthroughTls,
  });
  if (options.proxyProto !== 0) stream.write(proxyHeader(options.proxyProto, ends));
  return stream;
};
