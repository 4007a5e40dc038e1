import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import type { Clock } from '../../core/clock.ts';
import type { EdgeEndpoint } from '../contract.ts';
import { edgeAnswer, sendAnswer } from './answer.ts';
import { answerVisitor } from './answer-visitor.ts';
import type { Exchange } from './exchange.ts';
import { headerMap, headerTokens, headerValue } from './header-list.ts';
import { framingOf, isReplayable } from './send-request.ts';
import { socketOver } from './socket-bridge.ts';
import { failureAnswer } from './stream-failure.ts';
import type { StreamOpener } from './stream-opener.ts';

/** The way to agents whose endpoint asked for HTTP/2: one session with prior knowledge, on one proxy stream. */
export interface Http2Agents {
  forward(exchange: Exchange): void;
  /** Lets requests under way end, then the session. */
  retire(endpoint: EdgeEndpoint): void;
  retireAll(): void;
}

export const createHttp2Agents = (opener: StreamOpener, clock: Clock): Http2Agents => {
  const sessions = new Map<EdgeEndpoint, ClientHttp2Session>();

  const connectNew = async (exchange: Exchange): Promise<ClientHttp2Session> => {
    const { endpoint, rules, visit } = exchange;
    const stream = await opener.open(endpoint, visit, {
      proxyProto: rules.proxyProto,
      passthroughTls: false,
    });
    stream.on('error', () => stream.destroy());
    const socket = await socketOver(stream);
    const session = connect(`http://${exchange.head.host}`, { createConnection: () => socket });
    session.on('error', () => session.destroy());
    session.on('close', () => stream.destroy());
    const forget = (): void => {
      if (sessions.get(endpoint) === session) sessions.delete(endpoint);
    };
    session.on('close', forget);
    session.on('goaway', forget);
    // With a PROXY header the session belongs to one visitor.
    if (rules.proxyProto === 0) sessions.set(endpoint, session);
    return session;
  };

  const attempt = async (exchange: Exchange, isFresh: boolean): Promise<void> => {
    const { req, res, endpoint, rules, head } = exchange;
    const kept = isFresh ? undefined : sessions.get(endpoint);
    const session = kept ?? (await connectNew(exchange));
    if (res.destroyed) {
      if (kept === undefined && rules.proxyProto !== 0) session.destroy();
      return;
    }
    const framing = framingOf(req.rawHeaders);
    const stream = request(session, exchange, framing === 'none');
    if (kept === undefined && rules.proxyProto !== 0) session.close();
    let isAnswered = false;
    let trailers: readonly string[] = [];
    stream.on('trailers', (_headers, _flags, raw: readonly string[] = []) => {
      trailers = raw;
    });
    stream.on('response', (headers, _flags, raw: readonly string[] = []) => {
      isAnswered = true;
      answerVisitor(
        exchange,
        {
          status: headers[':status'] ?? 502,
          statusText: '',
          fields: withoutPseudo(raw),
          body: stream,
          trailers: () => trailers,
        },
        clock,
      );
    });
    let failure = new Error('The agent closed the HTTP/2 stream.');
    stream.on('error', (error) => {
      failure = error;
    });
    // A cancelled stream closes without an error.
    stream.on('close', () => {
      if (isAnswered) return;
      if (kept !== undefined && isReplayable(head.method, framing) && !res.destroyed) run(exchange, true);
      else sendAnswer(res, failureAnswer(failure, head.host));
    });
    res.once('close', () => {
      if (!res.writableFinished) stream.close();
    });
    if (framing !== 'none') req.pipe(stream);
  };

  const run = (exchange: Exchange, isFresh: boolean): void => {
    attempt(exchange, isFresh).catch((error: Error) => {
      sendAnswer(exchange.res, failureAnswer(error, exchange.head.host));
    });
  };

  const retire = (endpoint: EdgeEndpoint): void => {
    sessions.get(endpoint)?.close();
    sessions.delete(endpoint);
  };

  return {
    forward: (exchange) => {
      if (framingOf(exchange.req.rawHeaders) === 'unknown') {
        sendAnswer(exchange.res, edgeAnswer(501, null, 'The edge knows no transfer coding but chunked.'));
        return;
      }
      run(exchange, false);
    },
    retire,
    retireAll: () => {
      for (const endpoint of [...sessions.keys()]) retire(endpoint);
    },
  };
};

const request = (session: ClientHttp2Session, exchange: Exchange, isEmpty: boolean): ClientHttp2Stream => {
  const { req, head } = exchange;
  const fields: Record<string, string | string[]> = {};
  for (const [name, values] of headerMap(head.headers)) {
    if (name !== 'host') fields[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  if (headerTokens(req.rawHeaders, 'te').includes('trailers')) fields['te'] = 'trailers';
  return session.request(
    {
      ':method': head.method,
      ':path': head.target,
      ':scheme': 'http',
      ':authority': headerValue(head.headers, 'host') ?? head.host,
      ...fields,
    },
    { endStream: isEmpty },
  );
};

const withoutPseudo = (raw: readonly string[]): readonly string[] => {
  const fields: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (raw[at]?.startsWith(':') !== true) fields.push(raw[at] ?? '', raw[at + 1] ?? '');
  }
  return fields;
};
