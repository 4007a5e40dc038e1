/** From an endpoint's `upstream` to what the relay dials, through the names and the allow-list of the device. */
import type { UpstreamTarget } from '../core/endpoint.ts';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { isRefusedAddress } from '../core/refused-address.ts';
import { isAllowed } from './allow-list.ts';
import type { Config, UpstreamConfig } from './config.ts';
import { isOwnPort } from './own-ports.ts';
import {
  formatUpstream,
  isTlsScheme,
  isUrlRef,
  parseUpstreamUrl,
  type UpstreamAddress,
} from './upstream-ref.ts';

/** What resolving needs to know of a configuration. */
export type UpstreamRules = Pick<Config, 'upstreams' | 'allowUpstreams' | 'http' | 'mqtt'>;

const denied = (message: string): Result<never> => failed(fault('UPSTREAM_DENIED', message, false));

/**
 * Refuses what no upstream may be: the addresses of `isRefusedAddress` and the daemon's own ports. The message begins
 * with a verb.
 */
export const refuseAddress = (
  { host, port }: Pick<UpstreamAddress, 'host' | 'port'>,
  rules: Pick<Config, 'http' | 'mqtt'>,
): string | null => {
  if (host.kind !== 'name' && isRefusedAddress(host.text)) {
    return 'is an address that is always refused (link-local, multicast, unspecified, broadcast, metadata)';
  }
  return isOwnPort(host, port, rules) ? 'is a port of the daemon itself or of its broker' : null;
};

const target = (ref: string, address: UpstreamAddress, tls: Partial<UpstreamConfig>): UpstreamTarget => {
  const dialled = { ref, host: address.host.text, port: address.port };
  if (!isTlsScheme(address.scheme)) return dialled;
  return {
    ...dialled,
    tls: {
      verify: tls.verify ?? true,
      ...(tls.caFile ? { caFile: tls.caFile } : {}),
      ...(tls.serverName ? { serverName: tls.serverName } : {}),
    },
  };
};

/**
 * Resolves a name from `upstreams`, or a URL that `allowUpstreams` covers. Everything else is `UPSTREAM_DENIED`.
 * Names are not looked up here: the relay does that at each dial and checks every address again.
 */
export const resolveUpstream = (config: UpstreamRules, ref: string): Result<UpstreamTarget> => {
  const named = Object.hasOwn(config.upstreams, ref) ? config.upstreams[ref] : undefined;
  if (named === undefined && !isUrlRef(ref))
    return denied(`No upstream of this device is named ${quoted(ref)}.`);
  const address = parseUpstreamUrl(named?.url ?? ref);
  if (!address.ok) return denied(`The upstream URL ${address.fault.message}.`);
  const shown = named === undefined ? formatUpstream(address.value) : quoted(ref);
  const refused = refuseAddress(address.value, config);
  if (refused !== null) return denied(`Upstream ${shown} ${refused}.`);
  if (named === undefined && !isAllowed(config.allowUpstreams, address.value)) {
    return denied(`No entry of allowUpstreams covers ${shown}.`);
  }
  return ok(target(ref, address.value, named ?? {}));
};

/** A reference that may come from outside, fit to be shown. */
const quoted = (ref: string): string => JSON.stringify(ref.length > 64 ? `${ref.slice(0, 61)}...` : ref);
