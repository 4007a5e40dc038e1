import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import type { Ends } from './address.ts';

const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V2_PROXY = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

/** The PROXY protocol header that tells an upstream who the visitor is; version 1 is text, version 2 binary. */
export const proxyHeader = (version: 1 | 2, ends: Ends): Buffer => {
  switch (version) {
    case 1:
      return Buffer.from(textHeader(ends), 'latin1');
    case 2:
      return binaryHeader(ends);
  }
};

const textHeader = ({ clientIp, clientPort, serverIp, serverPort }: Ends): string => {
  if (isIPv4(clientIp) && isIPv4(serverIp)) {
    return `PROXY TCP4 ${clientIp} ${serverIp} ${clientPort} ${serverPort}\r\n`;
  }
  if (isIPv6(clientIp) && isIPv6(serverIp)) {
    return `PROXY TCP6 ${clientIp} ${serverIp} ${clientPort} ${serverPort}\r\n`;
  }
  return 'PROXY UNKNOWN\r\n';
};

const binaryHeader = (ends: Ends): Buffer => {
  const isV4 = isIPv4(ends.clientIp) && isIPv4(ends.serverIp);
  const pack = isV4 ? packV4 : packV6;
  const addresses = Buffer.concat([pack(ends.clientIp), pack(ends.serverIp)]);
  const rest = Buffer.alloc(4);
  rest.writeUInt16BE(ends.clientPort, 0);
  rest.writeUInt16BE(ends.serverPort, 2);
  const start = Buffer.alloc(4);
  start[0] = V2_PROXY;
  start[1] = isV4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6;
  start.writeUInt16BE(addresses.length + rest.length, 2);
  return Buffer.concat([V2_SIGNATURE, start, addresses, rest]);
};

const packV4 = (ip: string): Buffer => Buffer.from(ip.split('.').map(Number));

/** An IPv4 address among IPv6 ones is written in its mapped form, so that both ends are of one family. */
const packV6 = (ip: string): Buffer => {
  if (isIPv4(ip)) return Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), packV4(ip)]);
  const canonical = new SocketAddress({ address: ip.split('%')[0] ?? ip, family: 'ipv6' }).address;
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(canonical);
  const text =
    tail === null
      ? canonical
      : `${tail[1]}${packV4(tail[2] ?? '').toString('hex', 0, 2)}:${packV4(tail[2] ?? '').toString('hex', 2, 4)}`;
  const [left = '', right] = text.split('::');
  const groupsOf = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const before = groupsOf(left);
  const after = right === undefined ? [] : groupsOf(right);
  const zeros = right === undefined ? [] : Array<string>(8 - before.length - after.length).fill('0');
  const bytes = Buffer.alloc(16);
  for (const [index, group] of [...before, ...zeros, ...after].entries()) {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  }
  return bytes;
};
