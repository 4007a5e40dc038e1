/** Opens the byte stream to a broker: TCP, TLS or WebSocket, always direct, whatever proxies the environment names. */
import { connect as connectTcp, isIP } from 'node:net';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import WebSocket, { createWebSocketStream } from 'ws';
import type { BrokerTarget } from './broker-url.ts';
import type { Credentials } from './credentials.ts';
import { createPacketGuard } from './packet-guard.ts';

/** Longest WebSocket message held in memory; a larger one ends the connection. */
const MAX_WS_MESSAGE_BYTES = 16 * 1024 * 1024;
const HANDSHAKE_MS = 15_000;

export type StreamSecrets = Pick<Credentials, 'ca' | 'cert' | 'key'>;

const tlsOptions = (target: BrokerTarget, secrets: StreamSecrets): ConnectionOptions => ({
  minVersion: 'TLSv1.2',
  rejectUnauthorized: true,
  ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
  ...(secrets.ca === null ? {} : { ca: secrets.ca }),
  ...(secrets.cert === null ? {} : { cert: secrets.cert }),
  ...(secrets.key === null ? {} : { key: secrets.key }),
});

const alpnOptions = ({ alpn }: BrokerTarget): ConnectionOptions =>
  alpn === undefined ? {} : { ALPNProtocols: [alpn] };

const openRaw = (target: BrokerTarget, secrets: StreamSecrets, onOpen: () => void): Duplex => {
  const { scheme, host, port, path } = target;
  switch (scheme) {
    case 'mqtt':
      return connectTcp({ host, port }, onOpen).setNoDelay().setKeepAlive(true);
    case 'mqtts':
      return connectTls({ host, port, ...tlsOptions(target, secrets), ...alpnOptions(target) }, onOpen)
        .setNoDelay()
        .setKeepAlive(true);
    case 'ws':
    case 'wss': {
      const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
      const socket = new WebSocket(`${scheme}://${authority}${path}`, ['mqtt'], {
        handshakeTimeout: HANDSHAKE_MS,
        maxPayload: MAX_WS_MESSAGE_BYTES,
        perMessageDeflate: false,
        ...(scheme === 'wss' ? tlsOptions(target, secrets) : {}),
      });
      socket.once('open', onOpen);
      return createWebSocketStream(socket);
    }
  }
};

/** Puts the packet guard between the socket and MQTT.js; everything else passes through. */
class GuardedStream extends Duplex {
  readonly #inner: Duplex;

  constructor(inner: Duplex) {
    super({ allowHalfOpen: false });
    this.#inner = inner;
    const guard = createPacketGuard();
    inner.on('data', (chunk: Buffer) => {
      try {
        for (const part of guard.push(chunk)) {
          if (!this.push(part)) inner.pause();
        }
      } catch (error) {
        this.destroy(error as Error);
      }
    });
    inner.once('end', () => this.push(null));
    inner.on('error', (error) => this.destroy(error));
    // After an orderly end the last packets, often the reason for it, are still on their way to the parser.
    inner.once('close', () => {
      if (!inner.readableEnded) this.destroy();
    });
  }

  override _read(): void {
    this.#inner.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#inner.write(chunk, encoding, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#inner.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#inner.destroyed) done();
    else this.#inner.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#inner.destroy();
    done(error);
  }
}

/**
 * Opens a stream to the broker.
 * @param onOpen called when bytes of MQTT can flow: TCP connected, TLS and WebSocket handshakes done
 */
export const openStream = (target: BrokerTarget, secrets: StreamSecrets, onOpen: () => void): Duplex =>
  new GuardedStream(openRaw(target, secrets, onOpen));
