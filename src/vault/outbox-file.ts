/** The file of what waits for the broker: one checked line a message, appended; written anew when it has grown. */
import { join } from 'node:path';
import type { OutboundMessage, OutboxFile } from '../daemon/ports.ts';
import { FILE_MODE, writeFileAtomic } from './atomic-file.ts';
import { decodeLine, encodeLine } from './checked-line.ts';
import { type Disk, nodeDisk } from './disk.ts';

const isMessage = (value: unknown): value is OutboundMessage => {
  const message = value as Partial<OutboundMessage> | null | undefined;
  return (
    typeof message === 'object' &&
    message !== null &&
    typeof message.topic === 'string' &&
    typeof message.payload === 'string' &&
    (message.qos === 0 || message.qos === 1)
  );
};

/** Opens it; a line that a power cut tore is skipped. Never rejects: without a file there is only memory. */
export const openOutboxFile = async (dir: string, disk: Disk = nodeDisk): Promise<OutboxFile> => {
  const path = join(dir, 'outbox');
  const text = await disk.read(path).then(
    (bytes) => Buffer.from(bytes).toString('utf8'),
    () => '',
  );
  const textOf = (messages: readonly OutboundMessage[]): string => messages.map(encodeLine).join('');
  return {
    found: text
      .split('\n')
      .filter((line) => line !== '')
      .map(decodeLine)
      .filter(isMessage),
    bytes: Buffer.byteLength(text),
    append: async (messages) => {
      const bytes = Buffer.from(textOf(messages));
      const file = await disk.append(path, FILE_MODE);
      try {
        await file.write(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      return bytes.byteLength;
    },
    replace: async (messages) => {
      const next = textOf(messages);
      if (next === '') await disk.unlink(path).catch(() => undefined);
      else await writeFileAtomic(path, next, disk);
      return Buffer.byteLength(next);
    },
  };
};
