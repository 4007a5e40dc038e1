import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import type { TunnelId } from '../core/tunnel-event.ts';
import { createLineChannel, type LineChannel } from './line-channel.ts';
import { type ProcessEvent, parseRequest, type Reply, type Request } from './messages.ts';
import { doorPath, pidPath } from './run-dir.ts';

/** The descriptor on which the first supervisor talks to the process. */
const CHANNEL_FD = 3;
/** The pid file is tried again so often while the disk is full. */
const PID_AGAIN_MS = 5_000;

export interface SupervisorLinkHandlers {
  /** One request; the answer is what it returns, sent at once. */
  request(request: Request): Extract<Reply, { readonly type: 'answer' }>;
  /** Called after the answer to a request has been queued. */
  answered(request: Request): void;
  /** The supervisor is gone and nobody took over. */
  lost(): void;
  /** There is a supervisor again. */
  found(): void;
}

/** The process's side of the channel: one supervisor at a time, the newest. */
export interface SupervisorLink {
  emit(event: ProcessEvent): void;
  log(level: 'warn' | 'error', target: string, message: string): void;
  /** Opens the inherited channel and the door for later supervisors. Rejects when the door cannot be made. */
  open(): Promise<void>;
  /** Takes the door and the pid file away. */
  close(): void;
  flushed(): Promise<void>;
  readonly isHeld: boolean;
}

/** Makes the link; `scrub` cleans every log text that leaves the process. */
export const createSupervisorLink = (
  runDir: string,
  tunnel: TunnelId,
  handlers: SupervisorLinkHandlers,
  scrub: (text: string) => string,
): SupervisorLink => {
  let current: LineChannel | null = null;
  const door = doorPath(runDir, tunnel);
  const send = (reply: Reply, canMiss = false): void => current?.send(reply, canMiss);

  const hold = (socket: Socket, isFirst: boolean): void => {
    const channel: LineChannel = createLineChannel(
      socket,
      (line) => {
        const request = parseRequest(line);
        if (request === null) {
          channel.destroy();
          return;
        }
        // Whoever connects to the door holds the process only once it has asked for it.
        if (request.type === 'adopt' && current !== channel) {
          const last = current;
          current = channel;
          last?.send({ type: 'replaced' } satisfies Reply);
          last?.end();
          handlers.found();
        }
        if (current !== channel) {
          channel.destroy();
          return;
        }
        channel.send(handlers.request(request));
        handlers.answered(request);
      },
      () => {
        if (current !== channel) return;
        current = null;
        handlers.lost();
      },
    );
    if (isFirst) current = channel;
  };

  const server = createServer((socket) => hold(socket, false));

  let pidTimer: NodeJS.Timeout | undefined;
  /** Without it the next supervisor cannot take over; that is no reason not to serve under this one. */
  const notePid = (): void => {
    try {
      writeFileSync(pidPath(runDir, tunnel), `${process.pid}\n`, { mode: 0o600 });
    } catch {
      pidTimer = setTimeout(notePid, PID_AGAIN_MS).unref();
    }
  };

  return {
    emit: (event) => send({ type: 'event', event }, event.type === 'counters' || event.type === 'heartbeat'),
    log: (level, target, message) => send({ type: 'log', level, target, message: scrub(message) }, true),
    async open() {
      rmSync(door, { force: true });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(door, () => {
          server.removeListener('error', reject);
          // Without descriptors nobody can take over for a while; that is no reason to end.
          server.on('error', () => undefined);
          resolve();
        });
      });
      chmodSync(door, 0o600);
      notePid();
      hold(new Socket({ fd: CHANNEL_FD, readable: true, writable: true }), true);
    },
    close() {
      clearTimeout(pidTimer);
      server.close();
      rmSync(door, { force: true });
      rmSync(pidPath(runDir, tunnel), { force: true });
    },
    flushed: () => current?.flushed() ?? Promise.resolve(),
    get isHeld() {
      return current !== null;
    },
  };
};
