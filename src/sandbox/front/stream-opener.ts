import type { Duplex } from 'node:stream';
import type { EdgeEndpoint } from '../contract.ts';
import { clientAddrOf, type Ends } from './address.ts';
import { proxyHeader } from './proxy-header.ts';

/** How a stream begins. */
interface Opening {
  /** 1 and 2 put a PROXY header before everything else. */
  readonly proxyProto: 0 | 1 | 2;
  readonly passthroughTls: boolean;
}

/** Opens proxy streams, and knows which sessions have no room left for them. */
export interface StreamOpener {
  /** Rejects as `EdgeEndpoint.open` does. */
  open(endpoint: EdgeEndpoint, ends: Ends, opening: Opening): Promise<Duplex>;
  /** True while somebody waits for a stream of this session. */
  isShort(sessionId: string): boolean;
  /** Calls `listener` when somebody has begun to wait: idle streams of that session should make room. */
  onShort(listener: (sessionId: string) => void): void;
}

export const createStreamOpener = (): StreamOpener => {
  const waiting = new Map<string, number>();
  const listeners: ((sessionId: string) => void)[] = [];
  const wait = (sessionId: string): (() => void) => {
    waiting.set(sessionId, (waiting.get(sessionId) ?? 0) + 1);
    // A session with room opens within this turn.
    const immediate = setImmediate(() => {
      for (const listener of listeners) listener(sessionId);
    });
    return () => {
      clearImmediate(immediate);
      const left = (waiting.get(sessionId) ?? 1) - 1;
      if (left === 0) waiting.delete(sessionId);
      else waiting.set(sessionId, left);
    };
  };
  return {
    open: async (endpoint, ends, { proxyProto, passthroughTls }) => {
      const done = wait(endpoint.sessionId);
      try {
        const stream = await endpoint.open({ clientAddr: clientAddrOf(ends), passthroughTls });
        if (proxyProto !== 0) stream.write(proxyHeader(proxyProto, ends));
        return stream;
      } finally {
        done();
      }
    },
    isShort: (sessionId) => waiting.has(sessionId),
    onShort: (listener) => void listeners.push(listener),
  };
};
