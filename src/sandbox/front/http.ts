import type { IncomingMessage, ServerOptions, ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { endsOf } from './address.ts';
import { sendAnswer } from './answer.ts';
import { beginExchange } from './begin-exchange.ts';
import { forward } from './forward.ts';
import type { FrontContext } from './front-context.ts';
import { WEBSOCKET_EXPECTED } from './modules/websocket-tcp.ts';
import type { Visit } from './stages.ts';
import { isUpgradeWanted, serveUpgrade } from './upgrade.ts';

/** The largest header of a request, bytes. */
const MOST_HEADER_BYTES = 64 * 1024;
/** A visitor has this long to send a request's header. */
const HEADER_MS = 20_000;
/** A connection may rest this long between two requests. */
const KEEP_ALIVE_MS = 65_000;

/** Settings of both HTTP servers: caps that keep one visitor from holding the edge's memory. */
export const httpServerOptions: ServerOptions = {
  maxHeaderSize: MOST_HEADER_BYTES,
  headersTimeout: HEADER_MS,
  // A body may take as long as it takes: it is back-pressured, not kept.
  requestTimeout: 0,
  keepAliveTimeout: KEEP_ALIVE_MS,
  noDelay: true,
  shouldUpgradeCallback: isUpgradeWanted,
};

/** The handlers that make a Node HTTP server a front end of the edge. */
export const serveHttp = (
  server: Server,
  scheme: 'http' | 'https',
  context: FrontContext,
  verifiedBy: string | null,
): void => {
  const visitOf = (req: IncomingMessage): Visit => ({ ...endsOf(req.socket), scheme, verifiedBy });
  const onRequest = (req: IncomingMessage, res: ServerResponse): void => {
    req.on('error', () => undefined);
    res.on('error', () => undefined);
    const exchange = beginExchange(context, visitOf(req), req, res);
    if (exchange === null) return;
    if (exchange.rules.isWebsocketToTcp) sendAnswer(res, WEBSOCKET_EXPECTED);
    else if (exchange.rules.isHttp2) context.http2.forward(exchange);
    else forward(exchange, context);
  };
  server.on('request', onRequest);
  const onExpectation = (req: IncomingMessage, res: ServerResponse): void => {
    // Nobody knows whether the body follows when the answer comes first, so the connection cannot be used again.
    res.shouldKeepAlive = false;
    onRequest(req, res);
  };
  server.on('checkContinue', onExpectation);
  server.on('checkExpectation', onExpectation);
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, first: Buffer) =>
    serveUpgrade(context, visitOf(req), req, socket, first),
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => refuseVisitor(error, socket));
};

/** Answers what is no HTTP with a bare status and closes. */
const refuseVisitor = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  socket.on('error', () => undefined);
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  socket.end(`HTTP/1.1 ${statusOf(error.code)}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
    socket.destroy(),
  );
};

const statusOf = (code: string | undefined): string => {
  if (code === 'HPE_HEADER_OVERFLOW') return '431 Request Header Fields Too Large';
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return '408 Request Timeout';
  return '400 Bad Request';
};
