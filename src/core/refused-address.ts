/** Addresses that no upstream may have, whatever a configuration or a document says. */
import { BlockList, isIP } from 'node:net';

// Link-local (with the clouds' metadata services), multicast, unspecified, broadcast. Loopback and private addresses
// are where upstreams live.
const refused = new BlockList();
refused.addSubnet('169.254.0.0', 16, 'ipv4');
refused.addSubnet('224.0.0.0', 4, 'ipv4');
refused.addSubnet('0.0.0.0', 8, 'ipv4');
refused.addAddress('255.255.255.255', 'ipv4');
refused.addSubnet('fe80::', 10, 'ipv6');
refused.addSubnet('ff00::', 8, 'ipv6');
refused.addAddress('::', 'ipv6');
refused.addAddress('fd00:ec2::254', 'ipv6');
// IPv4 inside IPv6: mapped addresses are matched by BlockList itself, these two forms are not.
refused.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6');
refused.addSubnet('::a9fe:0', 112, 'ipv6');

/** True when nothing may be dialled at `address`; true also for what is no IP address. */
export const isRefusedAddress = (address: string): boolean => {
  const family = isIP(address);
  return family === 0 || refused.check(address, family === 6 ? 'ipv6' : 'ipv4');
};
