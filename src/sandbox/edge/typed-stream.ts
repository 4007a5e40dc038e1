import type { Duplex } from 'node:stream';

/** The first 4 bytes of every stream say what it is for. */
export const STREAM_TYPE = {
  auth: 0,
  bind: 1,
  unbind: 2,
  proxy: 3,
  restart: 4,
  stop: 5,
  update: 6,
  bindLabels: 7,
  stopTunnel: 9,
  heartbeat: 0xffff_ffff,
} as const;

const TYPE_BYTES = 4;
const LENGTH_BYTES = 8;

/** What an agent is told about a connection before its bytes. */
export interface ProxyPreamble {
  /** The endpoint's id as the agent knows it. */
  readonly Id: string;
  /** `ip:port`, IPv6 in brackets. */
  readonly ClientAddr: string;
  readonly Proto: string;
  /** A number in a string; `"0"` is an endpoint. */
  readonly EdgeType: string;
  readonly PassthroughTLS: boolean;
}

/** Type, little-endian length and preamble: all of it belongs into the one SYN frame. */
export const encodeProxyHead = (preamble: ProxyPreamble): Buffer => {
  const json = Buffer.from(JSON.stringify(preamble));
  const head = Buffer.allocUnsafe(TYPE_BYTES + LENGTH_BYTES + json.length);
  head.writeUInt32BE(STREAM_TYPE.proxy, 0);
  head.writeBigInt64LE(BigInt(json.length), TYPE_BYTES);
  json.copy(head, TYPE_BYTES + LENGTH_BYTES);
  return head;
};

/** Type and JSON of a command. */
export const encodeCommandHead = (type: number, body: Readonly<Record<string, unknown>>): Buffer => {
  const json = Buffer.from(JSON.stringify(body));
  const head = Buffer.allocUnsafe(TYPE_BYTES + json.length);
  head.writeUInt32BE(type, 0);
  json.copy(head, TYPE_BYTES);
  return head;
};

/** Receives what follows the type on a stream that the agent opened. */
export interface StreamConsumer {
  data(chunk: Buffer): void;
  /** The agent ended its direction. */
  end(): void;
}

/**
 * Reads the type of a stream that the agent opened, however its bytes are split, and hands the rest to the consumer
 * that `choose` returns for it.
 */
export const dispatchByType = (stream: Duplex, choose: (type: number) => StreamConsumer): void => {
  let early: Buffer = Buffer.alloc(0);
  let consumer: StreamConsumer | null = null;
  stream.on('data', (chunk: Buffer) => {
    if (consumer !== null) {
      consumer.data(chunk);
      return;
    }
    early = early.length === 0 ? chunk : Buffer.concat([early, chunk]);
    if (early.length < TYPE_BYTES) return;
    consumer = choose(early.readUInt32BE(0));
    if (early.length > TYPE_BYTES) consumer.data(early.subarray(TYPE_BYTES));
  });
  stream.on('end', () => {
    if (consumer === null) stream.end();
    else consumer.end();
  });
};
