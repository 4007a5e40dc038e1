import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Clock } from '../../core/clock.ts';
import { badGateway, edgeAnswer, sendAnswer } from './answer.ts';
import { answerVisitor, fromHttp1, passInformation } from './answer-visitor.ts';
import type { Exchange } from './exchange.ts';
import type { FrontContext } from './front-context.ts';
import { framingFields, framingOf, isReplayable, sendRequest } from './send-request.ts';
import { watchStall } from './stall.ts';
import { failureAnswer } from './stream-failure.ts';
import { passTrailers } from './trailers.ts';

/** Sends a request to the agent over HTTP/1.1 and its answer to the visitor. */
export const forward = (exchange: Exchange, { pools, clock }: FrontContext): void => {
  const { req, res, endpoint, head } = exchange;
  const framing = framingOf(req.rawHeaders);
  if (framing === 'unknown') {
    sendAnswer(res, edgeAnswer(501, null, 'The edge knows no transfer coding but chunked.'));
    return;
  }
  const canReplay = isReplayable(head.method, framing);

  const attempt = (isFresh: boolean): void => {
    let agent: ClientRequest;
    try {
      const pool = isFresh ? pools.fresh(endpoint) : pools.kept(endpoint);
      agent = sendRequest(exchange, pool, framingFields(exchange, framing));
    } catch {
      sendAnswer(res, edgeAnswer(400, null, 'The request holds characters that it must not.'));
      return;
    }
    let answer: IncomingMessage | null = null;
    const leave = (): void => {
      if (!res.writableFinished) agent.destroy();
    };
    res.once('close', leave);
    agent.on('information', (info) => passInformation(res, info));
    agent.on('response', (response) => {
      answer = response;
      answerVisitor(exchange, fromHttp1(response), clock);
    });
    // An upgrade that nobody asked for: the rest of the stream has no meaning.
    agent.on('upgrade', (_response, stream) => {
      stream.destroy();
      sendAnswer(res, badGateway(head.host));
    });
    agent.on('error', (error) => {
      res.off('close', leave);
      if (answer !== null || res.headersSent) {
        if (!res.writableEnded) res.destroy();
        return;
      }
      if (agent.reusedSocket && canReplay && !res.destroyed) attempt(true);
      else sendAnswer(res, failureAnswer(error, head.host));
    });
    if (framing === 'none') {
      req.resume();
      agent.end();
    } else sendBody(req, agent, clock);
  };
  attempt(!canReplay);
};

const sendBody = (req: IncomingMessage, agent: ClientRequest, clock: Clock): void => {
  const stop = watchStall(
    clock,
    () => req.socket.bytesRead,
    () => !req.readableEnded && !agent.writableNeedDrain,
    () => req.socket.destroy(),
  );
  req.pipe(agent, { end: false });
  req.on('end', () => {
    stop();
    passTrailers(req.rawTrailers, agent);
    agent.end();
  });
  req.on('error', () => agent.destroy());
  agent.on('close', () => {
    stop();
    req.unpipe(agent);
    req.resume();
  });
};
