import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { MAX_LINE_BYTES } from './messages.ts';

/** Unsent bytes above which messages that can be missed (gauges, beats) are dropped. */
const DROPPABLE_ABOVE_BYTES = 262_144;
/** Unsent bytes above which the other side counts as gone. */
const STUCK_ABOVE_BYTES = 8 * MAX_LINE_BYTES;

/** JSON lines in both directions over one socket. */
export interface LineChannel {
  /** Queues one message; `canMiss` lets it be dropped while the other side does not read. */
  send(message: object, canMiss?: boolean): void;
  /** Ends the channel once everything queued is sent. */
  end(): void;
  destroy(): void;
  /** Resolves when everything queued went to the system, or the channel is closed. */
  flushed(): Promise<void>;
}

/**
 * Reads and writes lines on `socket`. `onLine` gets each line without its end; `onClose` comes exactly once, whatever
 * the cause. A line over `MAX_LINE_BYTES` closes the channel.
 */
export const createLineChannel = (
  socket: Socket,
  onLine: (line: string) => void,
  onClose: () => void,
): LineChannel => {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  socket.on('data', (chunk: Buffer) => {
    const text = decoder.write(chunk);
    let from = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
      const line = rest + text.slice(from, end);
      rest = '';
      from = end + 1;
      if (line.length > 0 && !socket.destroyed) onLine(line);
    }
    rest += text.slice(from);
    if (rest.length > MAX_LINE_BYTES) socket.destroy();
  });
  socket.on('end', () => socket.end());
  // The close that follows says all there is to say.
  socket.on('error', () => undefined);
  socket.once('close', onClose);

  return {
    send(message, canMiss = false) {
      if (socket.destroyed || socket.writableEnded) return;
      if (canMiss && socket.writableLength > DROPPABLE_ABOVE_BYTES) return;
      if (socket.writableLength > STUCK_ABOVE_BYTES) {
        socket.destroy();
        return;
      }
      socket.write(`${JSON.stringify(message)}\n`);
    },
    end: () => {
      socket.end();
    },
    destroy: () => {
      socket.destroy();
    },
    flushed: () =>
      new Promise((resolve) => {
        if (socket.destroyed || socket.writableEnded) resolve();
        else socket.write('', () => resolve());
      }),
  };
};
