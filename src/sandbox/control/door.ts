/** The control door: `POST /faults`, `GET /state`, and what helps to see inside: `GET /events`, `GET /refusals`. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { operate } from './operations.ts';
import type { ControlParts } from './parts.ts';
import { viewState } from './state.ts';

export interface ControlDoor {
  readonly url: string;
  close(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';
const MOST_BODY_BYTES = 100_000;

interface Reply {
  readonly status: number;
  readonly body: object;
}

const refuse = (status: number, error: string): Reply => ({ status, body: { error } });

const readJson = async (request: IncomingMessage): Promise<{ readonly value: unknown } | null> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MOST_BODY_BYTES) chunks.push(chunk);
  }
  if (size > MOST_BODY_BYTES) return null;
  try {
    return { value: JSON.parse(Buffer.concat(chunks).toString('utf8')) };
  } catch {
    return null;
  }
};

const VIEWS: Readonly<Record<string, (parts: ControlParts) => object>> = {
  '/state': ({ edge }) => viewState(edge),
  '/events': ({ api }) => ({ events: api.events.list }),
  '/refusals': ({ edge }) => ({ refusals: edge.refusals }),
};

const replyTo = async (request: IncomingMessage, parts: ControlParts): Promise<Reply> => {
  const path = new URL(request.url ?? '/', 'http://localhost').pathname;
  if (path === '/faults') {
    if (request.method !== 'POST') return refuse(405, 'POST one JSON object to /faults');
    const json = await readJson(request);
    if (json === null) return refuse(400, 'the body is not JSON');
    const error = await operate(json.value, parts);
    return error === undefined ? { status: 200, body: {} } : refuse(400, error);
  }
  const view = Object.hasOwn(VIEWS, path) ? VIEWS[path] : undefined;
  if (!view) return refuse(404, 'there is nothing here; try /faults and /state');
  return request.method === 'GET' ? { status: 200, body: view(parts) } : refuse(405, `GET ${path}`);
};

/** Opens the door on a free loopback port. */
export const openControlDoor = async (
  parts: ControlParts,
  onBug: (error: unknown) => void,
): Promise<ControlDoor> => {
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { status, body } = await replyTo(request, parts).catch((error: unknown) => {
      if (!request.destroyed || request.complete) onBug(error);
      return refuse(500, error instanceof Error ? error.message : 'something went wrong');
    });
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, LOOPBACK, resolve);
  });
  return {
    url: `http://${LOOPBACK}:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
