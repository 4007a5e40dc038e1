import type { Duplex } from 'node:stream';

/**
 * Joins two half-open streams: bytes and end pass both ways with back-pressure. When one side fails, or closes before
 * both directions ended, the other is destroyed.
 */
export const splice = (visitor: Duplex, stream: Duplex): void => {
  visitor.pipe(stream);
  stream.pipe(visitor);
  tie(visitor, stream);
  tie(stream, visitor);
};

/** Destroys `other` when `one` breaks. */
const tie = (one: Duplex, other: Duplex): void => {
  one.on('error', () => other.destroy());
  one.on('close', () => {
    if (!(one.readableEnded && one.writableFinished)) other.destroy();
  });
  if (one.destroyed) other.destroy();
};
