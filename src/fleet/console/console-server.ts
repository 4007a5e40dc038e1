/** The console's web server: pages, the fleet as JSON, its changes as a stream, and commands to devices. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { isDeviceId, isName } from '../../protocol/names.ts';
import { isRecord, parseStrictJson } from '../../protocol/strict-json.ts';
import { type ConsoleDoor, isOwnHost, isOwnOrigin } from './door.ts';
import { APP_JS } from './page/app.ts';
import { INDEX_HTML, loginHtml } from './page/html.ts';
import { STYLE_CSS } from './page/style.ts';

/** What a press on a button asks for. */
export interface ConsoleCommand {
  readonly device: string;
  readonly endpoint: string;
  readonly verb: 'start' | 'stop';
  /** Seconds. */
  readonly leaseS: number | null;
}

export interface ConsolePorts {
  readonly door: ConsoleDoor;
  /** The whole fleet as the page wants it. */
  snapshot(): object;
  /** Sends one command and gives how it ended. */
  command(ask: ConsoleCommand): Promise<Result<object>>;
  /** Calls `send` with each change; the returned function ends that. */
  follow(send: (event: string, data: object) => void): () => void;
}

export interface ConsoleServer {
  readonly url: string;
  close(): Promise<void>;
}

const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const HEADERS = {
  'content-security-policy': CSP,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  // With `no-referrer` a browser would send no origin with the form either.
  'referrer-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
};
const MAX_BODY_BYTES = 4096;
/** Proxies and browsers give up on a stream that says nothing. */
const BEAT_MS = 15_000;
const MAX_LEASE_S = 86_400;
const MIN_LEASE_S = 60;

const send = (response: ServerResponse, code: number, type: string, body: string, more = {}): void => {
  response.writeHead(code, { ...HEADERS, 'content-type': `${type}; charset=utf-8`, ...more }).end(body);
};
const json = (response: ServerResponse, code: number, body: object): void =>
  send(response, code, 'application/json', JSON.stringify(body));
const goHome = (response: ServerResponse, cookie: string): void => {
  response.writeHead(303, { ...HEADERS, location: '/', 'set-cookie': cookie }).end();
};

const bodyOf = async (request: IncomingMessage): Promise<string | null> => {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};

/** Reads what the page posts; a sentence when it cannot be. */
export const readConsoleCommand = (text: string): ConsoleCommand | string => {
  const parsed = parseStrictJson(text);
  const body = parsed.ok && isRecord(parsed.value) ? parsed.value : {};
  const { device, endpoint, verb, leaseS } = body;
  if (typeof device !== 'string' || !isDeviceId(device)) return 'It names no device.';
  if (typeof endpoint !== 'string' || !isName(endpoint)) return 'It names no endpoint.';
  if (verb !== 'start' && verb !== 'stop') return 'It says neither start nor stop.';
  if (verb === 'stop' || leaseS === undefined) return { device, endpoint, verb, leaseS: null };
  return typeof leaseS === 'number' &&
    Number.isInteger(leaseS) &&
    leaseS >= MIN_LEASE_S &&
    leaseS <= MAX_LEASE_S
    ? { device, endpoint, verb, leaseS }
    : 'The lease is one minute to one day, in seconds.';
};

const stream = (response: ServerResponse, ports: ConsolePorts): void => {
  response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream; charset=utf-8' });
  response.write('retry: 2000\n\n');
  const stop = ports.follow((event, data) => {
    response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  });
  const beat = setInterval(() => response.write(': beat\n\n'), BEAT_MS);
  response.once('close', () => {
    clearInterval(beat);
    stop();
  });
};

const post = async (
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  ports: ConsolePorts,
): Promise<void> => {
  const { door } = ports;
  const { origin, host, cookie } = request.headers;
  if (!isOwnOrigin(origin, host)) return send(response, 403, 'text/plain', 'Not from this page.\n');
  const text = await bodyOf(request);
  if (text === null) return send(response, 413, 'text/plain', 'Too long.\n');
  if (path === '/login') {
    const signed = door.signIn(new URLSearchParams(text).get('token') ?? '');
    if (typeof signed === 'object') return goHome(response, signed.cookie);
    const said = signed === 'wait' ? 'Too many wrong tokens: wait a minute.' : 'That is not the token.';
    return send(response, signed === 'wait' ? 429 : 401, 'text/html', loginHtml(said));
  }
  if (!door.isIn(cookie)) return json(response, 401, { message: 'Sign in again.' });
  if (path === '/logout') return goHome(response, door.signOut(cookie));
  if (path !== '/api/commands') return send(response, 404, 'text/plain', 'Nothing here.\n');
  if (!(request.headers['content-type'] ?? '').startsWith('application/json'))
    return json(response, 415, { message: 'It must be JSON.' });
  const ask = readConsoleCommand(text);
  if (typeof ask === 'string') return json(response, 400, { message: ask });
  const done = await ports.command(ask);
  return done.ok ? json(response, 200, done.value) : json(response, 502, done.fault);
};

const get = (request: IncomingMessage, response: ServerResponse, path: string, ports: ConsolePorts): void => {
  const isIn = ports.door.isIn(request.headers.cookie);
  if (path === '/style.css') send(response, 200, 'text/css', STYLE_CSS);
  else if (path === '/') send(response, 200, 'text/html', isIn ? INDEX_HTML : loginHtml(''));
  else if (!isIn) json(response, 401, { message: 'Sign in.' });
  else if (path === '/app.js') send(response, 200, 'text/javascript', APP_JS);
  else if (path === '/api/fleet') json(response, 200, ports.snapshot());
  else if (path === '/api/stream') stream(response, ports);
  else send(response, 404, 'text/plain', 'Nothing here.\n');
};

/** Listens on loopback. `INTERNAL` when the port cannot be had. */
export const startConsole = async (port: number, ports: ConsolePorts): Promise<Result<ConsoleServer>> => {
  const host = '127.0.0.1';
  const server = createServer((request, response) => {
    const at = (server.address() as AddressInfo | null)?.port ?? port;
    const path = request.url ?? '/';
    if (!isOwnHost(request.headers.host, at, host)) return send(response, 421, 'text/plain', 'Wrong host.\n');
    if (request.method === 'GET') return get(request, response, path, ports);
    if (request.method !== 'POST') return send(response, 405, 'text/plain', 'GET or POST.\n');
    post(request, response, path, ports).catch(() => {
      if (!response.headersSent) json(response, 500, { message: 'It failed inside the console.' });
    });
  });
  server.requestTimeout = 10_000;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    return failed(fault('INTERNAL', `Port ${port} cannot be listened on (${code}).`, false));
  }
  return ok({
    url: `http://${host}:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
};
