import { readlink } from 'node:fs/promises';
import { Socket } from 'node:net';
import { findEdgeSockets } from './edge-socket.ts';

/**
 * Makes the setter of TCP_NODELAY for the SDK's socket. The SDK leaves Nagle's algorithm on and writes small frames in
 * pairs, which costs 40 ms a request on a quiet session, and it offers no setting; so a second handle is laid over its
 * descriptor for the one call. Unsupported and Linux only: whatever looks unusual is left alone.
 *
 * `apply` never rejects; it resolves with true when a socket was found and set.
 */
export const createNoDelay = (
  serverAddr: string,
  foreign: () => readonly string[],
): { apply(): Promise<boolean> } => {
  /** Never closed: closing one would close the SDK's socket, or whatever has its number by then. */
  const kept: Socket[] = [];
  const done = new Set<string>();

  const apply = async (): Promise<boolean> => {
    const found = (await findEdgeSockets(serverAddr, foreign())) ?? [];
    const candidates = found.filter(({ inode }) => !done.has(inode));
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
