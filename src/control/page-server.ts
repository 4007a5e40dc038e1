/** The loopback port: status page, metrics and probes. Reads no body but that of the form, and that only a little. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { failed, fault, ok, type Result } from '../core/errors.ts';
import type { RecentEvent } from '../daemon/status.ts';
import { keepHistory } from './history.ts';
import { isOwnHost } from './host-check.ts';
import { pageFiles } from './page/files.ts';
import { createPageAuth } from './page-auth.ts';
import { type Answer, json, metrics, type Observed, plain, probe, readings } from './routes.ts';

const MAX_FORM_BYTES = 8192;

/** Nothing from elsewhere, nothing inline, nobody frames it, nothing remembers it. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

export interface PageServerOptions extends Observed {
  readonly clock: Clock;
  readonly host: string;
  /** 0 asks the system for a free one. */
  readonly port: number;
  readonly page: boolean;
  readonly metrics: boolean;
  /** The token as it is now; null when there is none, which refuses everybody. */
  token(): Promise<string | null>;
  events(): readonly RecentEvent[];
}

export interface PageServer {
  readonly port: number;
  close(): Promise<void>;
}

const send = (
  response: ServerResponse,
  answer: Answer,
  more: Readonly<Record<string, string>> = {},
): void => {
  response.writeHead(answer.code, {
    ...HEADERS,
    'content-type': answer.type,
    'content-length': Buffer.byteLength(answer.body),
    ...more,
  });
  response.end(answer.body);
};

const redirect = (response: ServerResponse, to: string, more: Readonly<Record<string, string>> = {}): void =>
  send(response, plain(303, 'See other.'), { location: to, ...more });

/** The token out of the form's body; empty when it is none or too long. */
const typedToken = async (request: IncomingMessage): Promise<string> => {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) {
    body += chunk;
    if (body.length > MAX_FORM_BYTES) return '';
  }
  return new URLSearchParams(body).get('token')?.trim() ?? '';
};

/** A form that another site sends along is not ours. */
const isOwnForm = (request: IncomingMessage): boolean => {
  const { origin, host } = request.headers;
  const site = request.headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  return origin === undefined || origin.replace(/^https?:\/\//, '') === host;
};

/** Listens. `CONFIG_INVALID` names `http.listen` when that cannot be. */
export const startPageServer = async (options: PageServerOptions): Promise<Result<PageServer>> => {
  const auth = createPageAuth(options.clock);
  const history = options.page ? keepHistory(options.clock, () => options.status()) : null;
  let boundHost = options.host;

  const signIn = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!isOwnForm(request)) return send(response, plain(403, 'This form came from another site.'));
    const done = auth.signIn(await options.token(), await typedToken(request));
    if (done === 'wrong') return redirect(response, '/login?wrong');
    if (done === 'wait') return redirect(response, '/login?wait');
    redirect(response, '/', { 'set-cookie': done.cookie });
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const own = isOwnHost(request.headers.host, options.host) || isOwnHost(request.headers.host, boundHost);
    if (!own) return send(response, plain(421, 'The Host header must be the listen address or localhost.'));
    const [path = '/', query = ''] = (request.url ?? '/').split('?', 2);
    const route = `${request.method ?? ''} ${path}`;
    if (request.method === 'HEAD') request.method = 'GET';
    const isRead = request.method === 'GET';
    const probed = isRead ? probe(path, options) : null;
    if (probed !== null) return send(response, probed);
    if (options.page) {
      if (route === 'POST /login') return signIn(request, response);
      if (route === 'POST /logout' && isOwnForm(request))
        return redirect(response, '/login', { 'set-cookie': auth.signOut });
      const open = isRead ? pageFiles.open(path) : null;
      if (open !== null) return send(response, open);
    }
    if (!auth.isAllowed(await options.token(), request.headers)) {
      if (options.page && isRead && path === '/') return redirect(response, '/login');
      return send(response, json(401, fault('NOT_ALLOWED', 'Page and metrics ask for the token.', false)), {
        'www-authenticate': 'Bearer realm="lockkeeper"',
      });
    }
    if (!isRead)
      return send(response, plain(405, 'There is nothing to change here.'), { allow: 'GET, HEAD' });
    if (path === '/metrics' && options.metrics) return send(response, await metrics(options));
    if (options.page && path === '/') return send(response, pageFiles.index);
    if (history !== null && path === '/v1/page') {
      const after = Number(new URLSearchParams(query).get('after') ?? 0);
      const body = { status: options.status(), samples: history.since(after), events: options.events() };
      return send(response, json(200, body));
    }
    send(response, readings(path, options) ?? plain(404, 'There is nothing here.'));
  };

  const server: Server = createServer((request, response) => {
    answer(request, response).catch(() => {
      if (!response.headersSent) send(response, plain(500, 'The request failed inside the daemon.'));
      else response.destroy();
    });
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  server.maxConnections = 64;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port, options.host, resolve);
    });
  } catch (error) {
    history?.stop();
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    const where = `${options.host}:${options.port}`;
    return failed(fault('CONFIG_INVALID', `http.listen: ${where} cannot be listened on (${code})`, true));
  }
  const { address, port } = server.address() as AddressInfo;
  boundHost = address;
  return ok({
    port,
    close: () =>
      new Promise<void>((resolve) => {
        history?.stop();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
};
