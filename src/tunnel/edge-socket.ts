/**
 * The SDK's own socket, seen from outside: it tells neither its descriptor nor whether its session really came back.
 * Linux only; elsewhere, and whenever something looks unusual, the answer is "cannot tell".
 */
import { lookup } from 'node:dns/promises';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { isIP } from 'node:net';

const ESTABLISHED = '01';

/** The SDK's own address, when none is configured. */
export const DEFAULT_SERVER_ADDR = 'connect.ngrok-agent.com:443';

/** One established TCP connection of this machine, as the kernel lists it. */
export interface TcpRow {
  readonly inode: string;
  /** Plain text; an IPv4 address mapped into IPv6 is given as IPv4. */
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** Bytes of an address in the kernel's table: hexadecimal words in the machine's (little-endian) order. */
const addressOf = (hex: string): string => {
  const bytes = Buffer.from(hex, 'hex');
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  if (bytes.length === 4) return bytes.join('.');
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) === 0xffff;
  if (isMapped) return bytes.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
};

/** Reads `/proc/net/tcp` or `tcp6`. */
export const parseTcpTable = (text: string): readonly TcpRow[] =>
  text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [hex, port] = (fields[2] ?? '').split(':');
      const inode = fields[9];
      if (fields[3] !== ESTABLISHED || !hex || !port || !inode) return [];
      return [{ inode, remoteAddress: addressOf(hex), remotePort: Number.parseInt(port, 16) }];
    });

const readTables = async (): Promise<readonly TcpRow[]> => {
  const read = (path: string): Promise<string> => readFile(path, 'latin1').catch(() => '');
  const tables = await Promise.all([read('/proc/self/net/tcp'), read('/proc/self/net/tcp6')]);
  return tables.flatMap(parseTcpTable);
};

/** Descriptor numbers of this process's sockets, by inode. */
const ownSockets = async (): Promise<ReadonlyMap<string, number>> => {
  const found = new Map<string, number>();
  for (const name of await readdir('/proc/self/fd')) {
    const link = await readlink(`/proc/self/fd/${name}`).catch(() => '');
    const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
    if (inode !== undefined) found.set(inode, Number(name));
  }
  return found;
};

const canonical = (address: string): string =>
  isIP(address) === 6 ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;

const edgeAddresses = async (
  serverAddr: string,
): Promise<{ addresses: ReadonlySet<string>; port: number }> => {
  const [host = '', port = '443'] = serverAddr.split(':');
  const found = isIP(host) ? [host] : (await lookup(host, { all: true })).map(({ address }) => address);
  return { addresses: new Set(found.map(canonical)), port: Number(port) };
};

/** A connection of this process to the edge. */
export interface EdgeSocket {
  readonly inode: string;
  readonly fd: number;
}

/**
 * Finds the established connections of this process to the edge; null when that cannot be told. `foreign` gives the
 * `address:port` of connections that are ours, should an upstream be where the edge is.
 */
export const findEdgeSockets = async (
  serverAddr: string,
  foreign: readonly string[],
): Promise<readonly EdgeSocket[] | null> => {
  if (process.platform !== 'linux') return null;
  try {
    const { addresses, port } = await edgeAddresses(serverAddr || DEFAULT_SERVER_ADDR);
    if (foreign.some((remote) => [...addresses].some((address) => remote === `${address}:${port}`)))
      return null;
    const sockets = await ownSockets();
    return (await readTables()).flatMap(({ inode, remoteAddress, remotePort }) => {
      const fd = sockets.get(inode);
      const isEdge = remotePort === port && addresses.has(remoteAddress);
      return fd !== undefined && isEdge ? [{ inode, fd }] : [];
    });
  } catch {
    return null;
  }
};
