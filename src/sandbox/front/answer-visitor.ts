import type { IncomingMessage, InformationEvent, ServerResponse } from 'node:http';
import { pipeline, type Readable } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import { badGateway, sendAnswer } from './answer.ts';
import { type Exchange, judgeResponse } from './exchange.ts';
import { endToEnd } from './forwarded.ts';
import { headerValues } from './header-list.ts';
import { codingFor, encodedHeaders, encoder } from './modules/compression.ts';
import type { ResponseHead } from './stages.ts';
import { watchStall } from './stall.ts';
import { passTrailers } from './trailers.ts';

/** The agent's answer, in whatever version of HTTP it came. */
export interface AgentAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly fields: readonly string[];
  readonly body: Readable;
  /** The trailer fields, once the body has ended. */
  readonly trailers: () => readonly string[];
}

/** An HTTP/1.1 answer. */
export const fromHttp1 = (response: IncomingMessage): AgentAnswer => ({
  status: response.statusCode ?? 502,
  statusText: response.statusMessage ?? '',
  fields: response.rawHeaders,
  body: response,
  trailers: () => response.rawTrailers,
});

/** Sends the agent's answer to the visitor, after the response stages had their say. */
export const answerVisitor = (exchange: Exchange, from: AgentAnswer, clock: Clock): void => {
  const { res, head } = exchange;
  const answer: ResponseHead = {
    status: from.status,
    statusText: from.statusText,
    headers: endToEnd(from.fields),
    codings: [],
  };
  const own = judgeResponse(exchange, answer);
  if (own !== null) {
    from.body.resume();
    sendAnswer(res, own);
    return;
  }
  const coding = codingFor(head, answer);
  if (!begin(res, answer, coding === null ? answer.headers : encodedHeaders(answer.headers, coding))) {
    from.body.destroy();
    sendAnswer(res, badGateway(head.host));
    return;
  }
  // A body that breaks off must not look complete to the visitor.
  const cut = (): void => {
    res.destroy();
  };
  const body = coding === null ? from.body : pipeline(from.body, encoder(coding), () => undefined);
  body.on('error', cut);
  body.on('end', () => {
    passTrailers(from.trailers(), res);
    res.end();
  });
  body.pipe(res, { end: false });
  const socket = exchange.req.socket;
  const stop = watchStall(
    clock,
    () => socket.bytesWritten - socket.writableLength,
    () => res.writableNeedDrain,
    cut,
  );
  res.on('close', () => {
    stop();
    if (!res.writableFinished) from.body.destroy();
  });
};

/** False when the fields hold what may not be sent. */
const begin = (res: ServerResponse, answer: ResponseHead, fields: string[]): boolean => {
  try {
    res.sendDate = false;
    res.writeHead(answer.status, answer.statusText, fields);
    return true;
  } catch {
    return false;
  }
};

/** Hands an interim answer (100 and its like, never 101) to the visitor. */
export const passInformation = (res: ServerResponse, info: InformationEvent): void => {
  if (res.headersSent || res.destroyed) return;
  if (info.statusCode === 100) res.writeContinue();
  if (info.statusCode === 102) res.writeProcessing();
  const links = headerValues(info.rawHeaders, 'link');
  if (info.statusCode === 103 && links.length > 0) res.writeEarlyHints({ link: links });
};
