import { BlockList, isIP, isIPv6 } from 'node:net';
import { refuse } from '../refused-bind.ts';

/** True for addresses in any of the ranges. */
export type AddressTest = (ip: string) => boolean;

/** Compiles `10.0.0.0/8`, `::1/128` and single addresses. Refuses what is neither. */
export const inAnyRange = (ranges: readonly string[]): AddressTest => {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits, ...rest] = range.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    const longest = family === 'ipv6' ? 128 : 32;
    const prefix = bits === undefined ? longest : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
    if (isIP(address) === 0 || rest.length > 0 || prefix < 0 || prefix > longest) {
      refuse(`${range} is not an address range.`);
    }
    list.addSubnet(address, prefix, family);
  }
  return (ip) => isIP(ip) !== 0 && list.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4');
};
