/** A TCP path that can go bad: what a middlebox, a power cut or a dead route does to the connection behind it. */

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** `pass` forwards; `hole` takes connections and swallows all that comes. */
export type PathMode = 'pass' | 'hole';

export interface FaultyPath {
  readonly port: number;
  /** For connections from now on. */
  mode(mode: PathMode): void;
  /** Connections that stand are forwarded no more, in neither direction, and not closed. */
  freeze(): void;
  /** Connections taken so far. */
  readonly accepted: number;
}

/** Opens the path to a loopback port. */
export const openPath = async (target: number): Promise<FaultyPath> => {
  let mode: PathMode = 'pass';
  let accepted = 0;
  const sockets = new Set<Socket>();
  const frozen = new Set<Socket>();
  const pairs = new Set<readonly [Socket, Socket]>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  };
  const server = createServer({ allowHalfOpen: true }, (near) => {
    accepted += 1;
    keep(near);
    if (mode === 'hole') {
      near.resume();
      return;
    }
    const far = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
    keep(far);
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk: Buffer) => {
        if (!frozen.has(from)) to.write(chunk);
      });
      from.on('end', () => {
        if (!frozen.has(from)) to.end();
      });
      from.on('close', () => {
        pairs.delete(pair);
        if (!frozen.has(from)) to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    mode: (next) => {
      mode = next;
    },
    freeze: () => {
      for (const pair of pairs) for (const socket of pair) frozen.add(socket);
    },
    get accepted() {
      return accepted;
    },
  };
};
