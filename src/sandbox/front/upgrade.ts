import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { edgeAnswer, sendAnswer } from './answer.ts';
import { answerVisitor, fromHttp1 } from './answer-visitor.ts';
import { beginExchange } from './begin-exchange.ts';
import { type Exchange, judgeResponse } from './exchange.ts';
import type { FrontContext } from './front-context.ts';
import { type HeaderList, headerTokens, headerValues } from './header-list.ts';
import { joinWebsocket } from './modules/websocket-tcp.ts';
import { framingOf, sendRequest } from './send-request.ts';
import { splice } from './splice.ts';
import type { ResponseHead, Visit } from './stages.ts';
import { failureAnswer } from './stream-failure.ts';

/** Upgrades that carry a body, or to HTTP/2, are served as the plain requests they also are. */
export const isUpgradeWanted = (req: IncomingMessage): boolean =>
  framingOf(req.rawHeaders) === 'none' && !headerTokens(req.rawHeaders, 'upgrade').includes('h2c');

/** Serves a request that asks to speak another protocol: on success the two sides are joined byte by byte. */
export const serveUpgrade = (
  context: FrontContext,
  visit: Visit,
  req: IncomingMessage,
  socket: Duplex,
  first: Buffer,
): void => {
  socket.on('error', () => socket.destroy());
  const res = new ServerResponse(req);
  res.on('error', () => undefined);
  res.shouldKeepAlive = false;
  res.assignSocket(req.socket);
  res.on('finish', () => {
    res.detachSocket(req.socket);
    req.socket.destroySoon();
  });
  const exchange = beginExchange(context, visit, req, res);
  if (exchange === null) return;
  if (exchange.rules.isWebsocketToTcp) joinWebsocket(context.opener, exchange, socket, first);
  else if (exchange.rules.isHttp2)
    sendAnswer(res, edgeAnswer(501, null, 'This endpoint speaks HTTP/2, which has no upgrade.'));
  else forwardUpgrade(context, exchange, socket, first);
};

const forwardUpgrade = (context: FrontContext, exchange: Exchange, socket: Duplex, first: Buffer): void => {
  const { req, res, endpoint, head } = exchange;
  const asked = ['connection', 'upgrade'].flatMap((name) =>
    headerValues(req.rawHeaders, name).flatMap((value) => [
      name === 'upgrade' ? 'Upgrade' : 'Connection',
      value,
    ]),
  );
  const agent = sendRequest(exchange, context.pools.fresh(endpoint), asked);
  const leave = (): void => {
    agent.destroy();
  };
  socket.once('close', leave);
  let isAnswered = false;
  agent.on('response', (response) => {
    isAnswered = true;
    answerVisitor(exchange, fromHttp1(response), context.clock);
  });
  agent.on('upgrade', (response, stream, early) => {
    isAnswered = true;
    socket.off('close', leave);
    const answer: ResponseHead = {
      status: response.statusCode ?? 101,
      statusText: response.statusMessage ?? '',
      headers: response.rawHeaders,
      codings: [],
    };
    const own = judgeResponse(exchange, answer);
    if (own !== null || socket.destroyed) {
      stream.destroy();
      if (own !== null) sendAnswer(res, own);
      return;
    }
    res.detachSocket(req.socket);
    socket.write(headText(answer), 'latin1');
    // The agent's first words may have come in one packet with its answer, the visitor's with the request.
    if (early.length > 0) socket.write(early);
    if (first.length > 0) stream.write(first);
    splice(socket, stream);
  });
  agent.on('error', (error) => {
    if (!isAnswered) sendAnswer(res, failureAnswer(error, head.host));
    else if (!res.writableEnded) res.destroy();
  });
  agent.end();
};

const headText = (answer: ResponseHead): string => {
  const lines = [`HTTP/1.1 ${answer.status} ${answer.statusText}`];
  const fields: HeaderList = answer.headers;
  for (let at = 0; at + 1 < fields.length; at += 2) lines.push(`${fields[at]}: ${fields[at + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
};
