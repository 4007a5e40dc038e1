import { authenticate } from './auth.ts';
import { bind } from './bind.ts';
import type { EdgeContext } from './context.ts';
import type { Knock } from './door.ts';
import type { Endpoint } from './endpoint.ts';
import { isJson, textAt } from './fields.ts';
import { HeartbeatWatch } from './heartbeat.ts';
import { Mux } from './mux.ts';
import { type RpcAnswer, serveRpc } from './rpc.ts';
import type { Session } from './session.ts';
import type { MuxStream } from './stream.ts';
import { dispatchByType, STREAM_TYPE, type StreamConsumer } from './typed-stream.ts';

/** Agents expect the first beat's echo before the Auth answer; one that sends no beat is answered after this. */
const BEAT_WAIT_MS = 250;
const ECHO_MS = 2;
const BEAT_BYTES = 4;

const NOT_AUTHENTICATED: RpcAnswer = { refusal: { code: '', message: 'The session is not authenticated.' } };

/** One TCP connection of an agent, from its first byte to its last: serves the streams that the agent opens. */
export class AgentConnection {
  readonly #context: EdgeContext;
  readonly #knock: Knock;
  readonly #mux: Mux;
  readonly #watch: HeartbeatWatch;
  readonly #timers = new Set<() => void>();
  readonly #onClosed: (connection: AgentConnection) => void;
  #session: Session | null = null;
  #hasBeaten = false;
  #onFirstBeat: () => void = () => undefined;

  constructor(context: EdgeContext, knock: Knock, onClosed: (connection: AgentConnection) => void) {
    const { clock, settings } = context;
    this.#context = context;
    this.#knock = knock;
    this.#onClosed = onClosed;
    this.#watch = new HeartbeatWatch({
      clock,
      isWatching: () => !context.isSilent() && (this.#session === null || settings.enforceHeartbeat),
      onDead: () => this.#mux.end('closed', 'no heartbeat in time'),
    });
    this.#mux = new Mux(knock.socket, {
      noOpAck: () => settings.noOpAck,
      onStream: (stream) => dispatchByType(stream, (type) => this.#consumer(type, stream)),
      onStreamEnd: () => this.#session?.slots.ended(),
      onEnd: (_end, detail) => this.#ended(detail),
    });
    this.#watch.start(settings.authDeadlineMs);
  }

  get session(): Session | null {
    return this.#session;
  }

  /** Makes the agent dial anew while this connection still serves. */
  goAway(text: string): void {
    this.#mux.goAway(0, text);
  }

  #consumer(type: number, stream: MuxStream): StreamConsumer {
    switch (type) {
      case STREAM_TYPE.heartbeat:
        return this.#echo(stream);
      case STREAM_TYPE.auth:
        return this.#rpc(
          stream,
          (request) => this.#auth(request),
          (write) => this.#sendAuth(write),
        );
      case STREAM_TYPE.bind:
        return this.#bind(stream);
      case STREAM_TYPE.unbind:
        return this.#rpc(stream, (request) => this.#unbind(request));
      case STREAM_TYPE.bindLabels:
        return this.#rpc(stream, () => ({
          refusal: { code: 'ERR_NGROK_358', message: 'Labelled listeners are not available here.' },
        }));
      default:
        return this.#rpc(stream, () => ({
          refusal: { code: '', message: `This edge has no stream type ${type}.` },
        }));
    }
  }

  #rpc(
    stream: MuxStream,
    handle: (request: unknown) => RpcAnswer | Promise<RpcAnswer>,
    send: (write: () => void) => void = (write) => write(),
  ): StreamConsumer {
    return serveRpc(
      stream,
      handle,
      (write) => {
        const delayMs = this.#context.answerDelayMs();
        if (delayMs > 0) this.#later(delayMs, () => send(write));
        else send(write);
      },
      (error) => this.#context.events.emit('bug', error),
    );
  }

  #echo(stream: MuxStream): StreamConsumer {
    let pending = 0;
    return {
      data: (chunk) => {
        // The SDK tells whole milliseconds: on loopback an echo at once would be a latency of none.
        this.#later(ECHO_MS, () => {
          stream.write(chunk);
          pending += chunk.length;
          if (pending < BEAT_BYTES) return;
          pending %= BEAT_BYTES;
          this.#beat();
        });
      },
      end: () => {
        stream.end();
      },
    };
  }

  #beat(): void {
    if (!this.#hasBeaten) {
      this.#hasBeaten = true;
      this.#onFirstBeat();
    }
    if (this.#session === null) return;
    this.#watch.beat();
    this.#context.events.emit('heartbeat', this.#session);
  }

  #auth(raw: unknown): RpcAnswer {
    if (this.#session !== null)
      return { refusal: { code: '', message: 'This session is authenticated already.' } };
    const { remoteAddr, cut } = this.#knock;
    const result = authenticate(this.#context, raw, { remoteAddr, cut, mux: this.#mux });
    if ('code' in result) {
      this.#context.events.emit('auth-refused', { code: result.code, remoteAddr });
      return { refusal: result };
    }
    this.#session = result.session;
    this.#watch.start(result.request.silenceLimitMs);
    return result.result;
  }

  #sendAuth(write: () => void): void {
    const { authAfterBeatMs } = this.#context.settings;
    let isSent = false;
    const send = (): void => {
      if (!isSent) write();
      isSent = true;
    };
    const afterBeat = (): void => this.#later(authAfterBeatMs, send);
    if (this.#hasBeaten) {
      afterBeat();
      return;
    }
    this.#onFirstBeat = afterBeat;
    this.#later(BEAT_WAIT_MS, send);
  }

  #bind(stream: MuxStream): StreamConsumer {
    let endpoint: Endpoint | null = null;
    const call = this.#rpc(
      stream,
      async (request) => {
        if (this.#session === null) return NOT_AUTHENTICATED;
        const result = await bind(this.#context, this.#session, request);
        if ('code' in result) return { refusal: result };
        endpoint = result.endpoint;
        return { answer: result.answer };
      },
      (write) => {
        write();
        endpoint?.answered();
      },
    );
    return {
      data: call.data,
      end: () => {
        call.end();
        endpoint?.known();
      },
    };
  }

  #unbind(request: unknown): RpcAnswer {
    const session = this.#session;
    if (session === null) return NOT_AUTHENTICATED;
    const endpoint = isJson(request) ? session.endpoints.get(textAt(request, 'Id')) : undefined;
    // The agent unbinds one id up to three times: all but the first find nothing, and that is well.
    if (endpoint !== undefined) session.close(endpoint, 'unbind');
    return { answer: {} };
  }

  #later(ms: number, run: () => void): void {
    const cancel = this.#context.clock.after(ms, () => {
      this.#timers.delete(cancel);
      run();
    });
    this.#timers.add(cancel);
  }

  #ended(reason: string): void {
    this.#watch.stop();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    const session = this.#session;
    if (session !== null) {
      const superseded = !this.#context.sessions.leave(session);
      session.lost();
      this.#context.events.emit('session-closed', session, { superseded, reason });
    }
    this.#knock.cut('fin');
    this.#onClosed(this);
  }
}
