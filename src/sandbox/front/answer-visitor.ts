import type { IncomingMessage, InformationEvent, ServerResponse } from 'node:http';
import { badGateway, sendAnswer } from './answer.ts';
import { type Exchange, judgeResponse } from './exchange.ts';
import { endToEnd } from './forwarded.ts';
import { headerValues } from './header-list.ts';
import { codingFor, encodedHeaders, encoder } from './modules/compression.ts';
import type { ResponseHead } from './stages.ts';
import { passTrailers } from './trailers.ts';

/** Sends the agent's answer to the visitor, after the response stages had their say. */
export const answerVisitor = (exchange: Exchange, response: IncomingMessage): void => {
  const { res, head } = exchange;
  const answer: ResponseHead = {
    status: response.statusCode ?? 502,
    statusText: response.statusMessage ?? '',
    headers: endToEnd(response.rawHeaders),
    codings: [],
  };
  const own = judgeResponse(exchange, answer);
  if (own !== null) {
    response.resume();
    sendAnswer(res, own);
    return;
  }
  const coding = codingFor(head, answer);
  if (!begin(res, answer, coding === null ? answer.headers : encodedHeaders(answer.headers, coding))) {
    response.destroy();
    sendAnswer(res, badGateway(head.host));
    return;
  }
  const body = coding === null ? response : response.pipe(encoder(coding));
  body.pipe(res, { end: false });
  body.on('end', () => {
    passTrailers(response, res);
    res.end();
  });
  body.on('error', () => res.destroy());
  // A body that breaks off must not look complete to the visitor.
  response.on('error', () => res.destroy());
  res.on('close', () => {
    if (!response.complete) response.destroy();
    if (body !== response) body.destroy();
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
  if (info.statusCode === 100) {
    res.writeContinue();
    return;
  }
  if (info.statusCode === 102) {
    res.writeProcessing();
    return;
  }
  const links = headerValues(info.rawHeaders, 'link');
  if (info.statusCode === 103 && links.length > 0) res.writeEarlyHints({ link: links });
};
