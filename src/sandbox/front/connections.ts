import type { Socket } from 'node:net';

/** The visitors' sockets, so that closing the front ends them. An error on one is that visitor's end, no one else's. */
export interface Connections {
  take(socket: Socket): void;
  destroyAll(): void;
}

export const createConnections = (): Connections => {
  const open = new Set<Socket>();
  return {
    take: (socket) => {
      open.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => open.delete(socket));
    },
    destroyAll: () => {
      for (const socket of open) socket.destroy();
    },
  };
};
