import { type AddressInfo, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A peer that is no broker: `onData` decides what happens to each connection's bytes. */
export const startTcpStub = async (
  onData: (socket: Socket, bytes: Buffer) => void,
  onConnect: (socket: Socket) => void = () => undefined,
): Promise<{ readonly port: number; readonly url: string; connections(): number }> => {
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createServer((socket) => {
    count += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (bytes) => onData(socket, Buffer.from(bytes)));
    onConnect(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { port, url: `mqtt://127.0.0.1:${port}`, connections: () => count };
};
