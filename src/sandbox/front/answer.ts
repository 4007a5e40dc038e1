import type { ServerResponse } from 'node:http';
import type { HeaderList } from './header-list.ts';

/** An answer that the edge gives by itself, without (or instead of) the agent's. */
export interface EdgeAnswer {
  readonly status: number;
  /** ngrok's code, shown in a header and as the last line of the text; null when there is none. */
  readonly code: string | null;
  readonly headers: HeaderList;
  readonly body: string;
}

/** A refusal as text with its code on a line of its own. */
export const edgeAnswer = (
  status: number,
  code: string | null,
  message: string,
  headers: HeaderList = [],
): EdgeAnswer => ({
  status,
  code,
  headers: ['Content-Type', 'text/plain; charset=utf-8', ...headers],
  body: code === null ? `${message}\n` : `${message}\n\n${code}\n`,
});

/** Nothing is bound under this name. */
export const offline = (host: string): EdgeAnswer =>
  edgeAnswer(404, 'ERR_NGROK_3200', `The endpoint ${host} is offline.`);

/** The agent went away or spoke no HTTP. */
export const badGateway = (host: string): EdgeAnswer =>
  edgeAnswer(502, 'ERR_NGROK_3004', `The agent behind ${host} gave no valid HTTP answer.`);

/** The agent's session has no room for one more stream. */
export const overloaded = (host: string): EdgeAnswer =>
  edgeAnswer(503, null, `The agent behind ${host} has too many open streams.`);

/** Writes an answer; does nothing when one was begun or the visitor left. */
export const sendAnswer = (res: ServerResponse, answer: EdgeAnswer): void => {
  if (res.headersSent || res.destroyed) return;
  const body = Buffer.from(answer.body);
  const fields = ['Content-Length', String(body.length), ...answer.headers];
  if (answer.code !== null) fields.push('ngrok-error-code', answer.code);
  res.writeHead(answer.status, fields);
  res.end(body);
};
