import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { UpstreamTarget } from '../../core/endpoint.ts';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { isRefusedAddress } from '../../core/refused-address.ts';

/** `host:port` for people, with brackets where an IPv6 address needs them. */
export const hostPort = (target: Pick<UpstreamTarget, 'host' | 'port'>): string =>
  isIP(target.host) === 6 ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`;

/**
 * Resolves an upstream's host. The addresses returned are the ones to dial: no second look-up, so that a name cannot
 * change between check and use. One refused address refuses them all.
 */
export const resolveUpstream = async (target: UpstreamTarget): Promise<Result<readonly string[]>> => {
  const bare = target.host.replace(/^\[(.*)\]$/, '$1');
  let addresses: readonly string[];
  if (isIP(bare) !== 0) addresses = [bare];
  else {
    try {
      addresses = (await lookup(bare, { all: true })).map(({ address }) => address);
    } catch {
      return failed(
        fault(
          'UPSTREAM_DOWN',
          `The name of upstream ${target.ref} (${hostPort(target)}) is not known.`,
          true,
        ),
      );
    }
  }
  const bad = addresses.find(isRefusedAddress);
  if (bad !== undefined) {
    return failed(
      fault(
        'UPSTREAM_DENIED',
        `Upstream ${target.ref} (${hostPort(target)}) leads to ${bad}, an address that is always refused.`,
        false,
      ),
    );
  }
  return ok(addresses);
};
