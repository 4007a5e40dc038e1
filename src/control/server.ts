/**
 * The local control socket: HTTP over a unix socket for `lockkeeper status`, `lock` and `unlock`, for metrics and
 * probes, and for tools that read ngrok's agent. Whoever may open the socket is known, so no token is asked for. Reads
 * no bodies.
 */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { type Fault, failed, fault, ok, type Result } from '../core/errors.ts';
import { type Answer, json, metrics, type Observed, probe, readings } from './routes.ts';

/** Owner and group: an operator in group `lockkeeper` needs no root. */
const SOCKET_MODE = 0o660;

export interface ControlHandlers extends Observed {
  lock(): Promise<Result<void>>;
  unlock(): Promise<Result<void>>;
}

export interface ControlServer {
  close(): Promise<void>;
}

const send = (response: ServerResponse, { code, type, body }: Answer): void => {
  response.writeHead(code, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(body);
};

const sendFault = (response: ServerResponse, code: number, f: Fault): void => send(response, json(code, f));

/** True when somebody answers on the socket: then it is not ours to remove. */
const isAnswered = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

/** Listens on `path`. `STORE_FAILED` names the path when that cannot be. */
export const startControlServer = async (
  path: string,
  handlers: ControlHandlers,
): Promise<Result<ControlServer>> => {
  const server: Server = createServer((request, response) => {
    request.resume();
    const act = async (): Promise<void> => {
      const path = (request.url ?? '').split('?', 1)[0] ?? '';
      const route = `${request.method ?? ''} ${path}`;
      if (request.method === 'GET') {
        const answer =
          path === '/metrics' ? await metrics(handlers) : (probe(path, handlers) ?? readings(path, handlers));
        if (answer !== null) return send(response, answer);
      }
      if (route === 'POST /v1/lock' || route === 'POST /v1/unlock') {
        const done = await (route === 'POST /v1/lock' ? handlers.lock() : handlers.unlock());
        return done.ok ? send(response, json(200, {})) : sendFault(response, 500, done.fault);
      }
      sendFault(response, 404, fault('BAD_ARGS', `There is nothing at ${route.slice(0, 80)}.`, false));
    };
    act().catch(() => {
      if (!response.headersSent)
        sendFault(response, 500, fault('INTERNAL', 'The request failed inside the daemon.', true));
    });
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  server.requestTimeout = 5000;
  try {
    await mkdir(dirname(path), { recursive: true });
    if (await isAnswered(path))
      return failed(fault('STORE_FAILED', `Another daemon answers on ${path}.`, true));
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    await chmod(path, SOCKET_MODE);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    return failed(fault('STORE_FAILED', `The control socket ${path} cannot be made (${code}).`, false));
  }
  return ok({
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
};
