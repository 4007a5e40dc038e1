import type { Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import { readHello } from './sni.ts';

/** A visitor has this long to send a ClientHello. */
const HELLO_MS = 20_000;

/**
 * Reads the ClientHello and puts it back, so that whoever takes the socket next sees it from the first byte on.
 * Resolves with the server name, or null when there is none; destroys the socket and gives undefined when it is no
 * TLS, ends early or takes too long.
 */
export const peekServerName = (socket: Socket, clock: Clock): Promise<string | null | undefined> =>
  new Promise((resolve) => {
    let seen = Buffer.alloc(0);
    const finish = (name: string | null | undefined): void => {
      cancel();
      socket.off('readable', look);
      socket.off('end', giveUp);
      socket.off('close', giveUp);
      if (name === undefined) socket.destroy();
      else socket.unshift(seen);
      resolve(name);
    };
    const giveUp = (): void => finish(undefined);
    const look = (): void => {
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
        seen = Buffer.concat([seen, chunk as Buffer]);
      }
      const hello = readHello(seen);
      if (hello.kind === 'foreign') giveUp();
      if (hello.kind === 'hello') finish(hello.serverName);
    };
    const cancel = clock.after(HELLO_MS, giveUp);
    socket.on('readable', look);
    socket.on('end', giveUp);
    socket.on('close', giveUp);
  });
