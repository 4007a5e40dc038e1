import { once } from 'node:events';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import {
  encodeHeader,
  FLAG_FIN,
  FLAG_SYN,
  FRAME_TYPE,
  type Frame,
  FrameDecoder,
} from '../../src/sandbox/edge/frame.ts';
import type { EdgeWorld } from './edge-world.ts';
import { TOKEN } from './edge-world.ts';

const HEARTBEAT_STREAM = 3;

/** Speaks the agent's side frame by frame, for what the SDK cannot be made to do. */
export class RawAgent {
  readonly socket: TLSSocket;
  /** Every frame received. */
  readonly frames: Frame[] = [];
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  #nextId = 5;
  #isBeating = false;
  readonly #lookers = new Set<() => void>();

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    const decoder = new FrameDecoder((frame) => {
      this.frames.push({ ...frame, payload: Buffer.from(frame.payload) });
    });
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      decoder.push(chunk);
      for (const look of [...this.#lookers]) look();
    });
  }

  static async dial(world: EdgeWorld, options: ConnectionOptions = {}): Promise<RawAgent> {
    const port = Number(world.edge.addr.split(':')[1]);
    const socket = connect({ port, host: '127.0.0.1', ca: world.authority.cert, ...options });
    await once(socket, 'secureConnect');
    return new RawAgent(socket);
  }

  write(type: 0 | 1 | 2 | 3, flags: number, streamId: number, payload: Buffer): void {
    this.socket.write(Buffer.concat([encodeHeader(type, flags, streamId, payload.length), payload]));
  }

  authText(over: { readonly ClientId?: string; readonly Cookie?: string } = {}): string {
    return JSON.stringify({
      Version: ['3', '2'],
      ClientId: over.ClientId ?? '',
      Extra: {
        AuthToken: TOKEN,
        Cookie: over.Cookie ?? '',
        HeartbeatInterval: 10_000_000_000,
        HeartbeatTolerance: 15_000_000_000,
      },
    });
  }

  auth(frameBytes?: number): Promise<unknown> {
    return this.rpc(0, this.authText(), frameBytes);
  }

  /** Sends one RPC, in frames of `frameBytes`, and resolves with its answer once the edge ended the stream. */
  async rpc(type: number, text: string, frameBytes = text.length): Promise<unknown> {
    const streamId = this.#nextId;
    this.#nextId += 2;
    const word = Buffer.alloc(4);
    word.writeUInt32BE(type);
    this.write(FRAME_TYPE.data, FLAG_SYN, streamId, word);
    for (let at = 0; at < text.length; at += frameBytes) {
      this.write(FRAME_TYPE.data, 0, streamId, Buffer.from(text.slice(at, at + frameBytes)));
    }
    await this.#until(() => this.#on(streamId).some(({ fin }) => fin));
    this.write(FRAME_TYPE.data, FLAG_FIN, streamId, Buffer.alloc(0));
    const answer = Buffer.concat(this.#on(streamId).map(({ payload }) => payload));
    return JSON.parse(answer.toString('utf8')) as unknown;
  }

  /** Sends a beat and resolves with its echo. */
  async beat(bytes = Buffer.from('beat')): Promise<Buffer> {
    if (!this.#isBeating) this.write(FRAME_TYPE.data, FLAG_SYN, HEARTBEAT_STREAM, Buffer.alloc(4, 0xff));
    this.#isBeating = true;
    const before = this.#on(HEARTBEAT_STREAM).length;
    this.write(FRAME_TYPE.data, 0, HEARTBEAT_STREAM, bytes);
    await this.#until(() => this.#on(HEARTBEAT_STREAM).length > before);
    return this.#on(HEARTBEAT_STREAM).at(-1)?.payload ?? Buffer.alloc(0);
  }

  #on(streamId: number): readonly Frame[] {
    return this.frames.filter((frame) => frame.streamId === streamId && frame.type === FRAME_TYPE.data);
  }

  #until(condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!condition()) return;
        this.#lookers.delete(look);
        resolve();
      };
      this.#lookers.add(look);
      void this.closed.then(() => reject(new Error('the edge closed the connection')));
      look();
    });
  }
}
