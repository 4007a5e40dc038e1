/** Which addresses belong to this machine, and which to a private network. */
import { BlockList, isIP } from 'node:net';
import type { Host } from './host-port.ts';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

const privateNetworks = new BlockList();
privateNetworks.addSubnet('10.0.0.0', 8, 'ipv4');
privateNetworks.addSubnet('172.16.0.0', 12, 'ipv4');
privateNetworks.addSubnet('192.168.0.0', 16, 'ipv4');
privateNetworks.addSubnet('fc00::', 7, 'ipv6');

const within = (list: BlockList, address: string): boolean => {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
};

/** True for 127.0.0.0/8 and ::1. */
export const isLoopbackAddress = (address: string): boolean => within(loopback, address);

/** True for loopback, RFC 1918 and fc00::/7 addresses. */
export const isPrivateAddress = (address: string): boolean =>
  isLoopbackAddress(address) || within(privateNetworks, address);

/** True for loopback addresses and for `localhost`, which RFC 6761 keeps on the machine. */
export const isLoopbackHost = ({ kind, text }: Host): boolean =>
  kind === 'name' ? text === 'localhost' || text.endsWith('.localhost') : isLoopbackAddress(text);
