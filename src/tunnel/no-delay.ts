/**
 * TCP_NODELAY for the SDK's socket to the edge. The SDK leaves Nagle's algorithm on and writes small frames in pairs,
 * which costs 40 ms a request on a quiet session. It offers no setting, so the socket is found by its inode and a second
 * handle is laid over its descriptor, for the one call. Unsupported and Linux only: whatever looks unusual is left alone.
 */
import { lookup } from 'node:dns/promises';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { isIP, Socket } from 'node:net';

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

/**
 * Makes the setter. `apply` never rejects; it resolves with true when a socket was found and set. `foreign` tells the
 * `address:port` of connections that are ours and must not be touched.
 */
export const createNoDelay = (
  serverAddr: string,
  foreign: () => readonly string[],
): { apply(): Promise<boolean> } => {
  /** Never closed: closing one would close the SDK's socket, or whatever has its number by then. */
  const kept: Socket[] = [];
  const done = new Set<string>();

  const apply = async (): Promise<boolean> => {
    if (process.platform !== 'linux') return false;
    const { addresses, port } = await edgeAddresses(serverAddr || DEFAULT_SERVER_ADDR);
    const avoid = new Set(foreign());
    const [rows, sockets] = [await readTables(), await ownSockets()];
    const candidates = rows.flatMap(({ inode, remoteAddress, remotePort }) => {
      const fd = sockets.get(inode);
      const isEdge = remotePort === port && addresses.has(remoteAddress);
      if (fd === undefined || !isEdge || done.has(inode) || avoid.has(`${remoteAddress}:${remotePort}`))
        return [];
      return [{ inode, fd }];
    });
    const [only] = candidates;
    // Two candidates would mean guessing.
    if (only === undefined || candidates.length > 1) return false;
    // The descriptor may have changed hands while we looked.
    if ((await readlink(`/proc/self/fd/${only.fd}`)) !== `socket:[${only.inode}]`) return false;
    const socket = new Socket({ fd: only.fd, readable: false, writable: false });
    socket.on('error', () => undefined);
    socket.setNoDelay(true);
    socket.unref();
    kept.push(socket);
    done.add(only.inode);
    return true;
  };
  return { apply: () => apply().catch(() => false) };
};
