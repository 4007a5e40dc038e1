/**
 * `allowUpstreams`: which upstream URLs a desired document or an endpoint may name directly. Scheme, host and port
 * must all match. A network covers literal addresses only: a name is covered by itself alone, and the relay checks
 * every address it resolves to before it dials.
 */
import { BlockList } from 'node:net';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import type { Host } from './host-port.ts';
import { parseUpstreamUrl, type UpstreamAddress } from './upstream-ref.ts';

/** One entry, ready to compare. `prefix` is the network's length in bits, null for a single host. */
export interface AllowEntry {
  readonly address: UpstreamAddress;
  readonly prefix: number | null;
}

const NETWORK = /^(\w+:\/\/(?:\[[^\]/]*\]|[^:/[\]]+))\/([^:]*)((?::.*)?)$/s;
const BITS = { ipv4: 32, ipv6: 128 } as const;

/** Reads `http://127.0.0.1:8080`, `tcp://192.168.7.0/24:502`, `tls://[fd00:7::]/64:8443`. */
export const parseAllowEntry = (text: string): Result<AllowEntry> => {
  const network = NETWORK.exec(text);
  // A slash at the very end is the empty path of a plain URL.
  if (!network || (network[2] === '' && network[3] === '')) {
    const address = parseUpstreamUrl(text);
    return address.ok ? ok({ address: address.value, prefix: null }) : address;
  }
  const [, base = '', length = '', port = ''] = network;
  const address = parseUpstreamUrl(base + port);
  if (!address.ok) return address;
  const { kind } = address.value.host;
  const refuse = (why: string): Result<never> =>
    failed(
      fault(
        'BAD_ARGS',
        `${why}; write a network like tcp://192.168.7.0/24:502 or tcp://[fd00:7::]/64:502`,
        false,
      ),
    );
  if (kind === 'name') return refuse('has a prefix length after a name');
  const prefix = /^(0|[1-9]\d{0,2})$/.test(length) ? Number(length) : Number.NaN;
  if (!(prefix <= BITS[kind])) return refuse(`has a prefix length that is not 0 to ${BITS[kind]}`);
  return ok({ address: address.value, prefix });
};

const coversHost = (entry: AllowEntry, host: Host): boolean => {
  const allowed = entry.address.host;
  if (allowed.kind !== host.kind) return false;
  if (entry.prefix === null || host.kind === 'name' || allowed.kind === 'name')
    return allowed.text === host.text;
  const network = new BlockList();
  network.addSubnet(allowed.text, entry.prefix, allowed.kind);
  return network.check(host.text, host.kind);
};

/** True when one entry covers the address. */
export const covers = (entry: AllowEntry, address: UpstreamAddress): boolean =>
  entry.address.scheme === address.scheme &&
  entry.address.port === address.port &&
  coversHost(entry, address.host);

/** True when any entry of the list covers the address; entries that cannot be read cover nothing. */
export const isAllowed = (entries: readonly string[], address: UpstreamAddress): boolean =>
  entries.some((text) => {
    const entry = parseAllowEntry(text);
    return entry.ok && covers(entry.value, address);
  });
