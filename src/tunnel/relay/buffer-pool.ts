/** Read buffers lent to connections and given back, so that a connection costs no allocation per read. */
export interface BufferPool {
  take(): Buffer;
  give(buffer: Buffer): void;
}

/** Makes a pool of buffers of `bytes`; keeps at most `keep` idle ones. */
export const createBufferPool = (bytes: number, keep: number): BufferPool => {
  const idle: Buffer[] = [];
  return {
    // Not from Node's shared slab: these live long and are never sliced for others.
    take: () => idle.pop() ?? Buffer.allocUnsafeSlow(bytes),
    give(buffer) {
      if (idle.length < keep) idle.push(buffer);
    },
  };
};
