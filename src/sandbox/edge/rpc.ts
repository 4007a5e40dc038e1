import type { Refusal } from '../contract.ts';
import { JsonCollector } from './json-collector.ts';
import type { MuxStream } from './stream.ts';
import type { StreamConsumer } from './typed-stream.ts';

/** An answer object, or a refusal that becomes the agent's error text. */
export type RpcAnswer =
  | { readonly answer: Readonly<Record<string, unknown>> }
  | { readonly refusal: Refusal };

/** ngrok's form of an error: the message, an empty line, the code at the start of a line of its own. */
export const errorText = (refusal: Refusal): string =>
  refusal.code === '' ? refusal.message : `${refusal.message}\r\n\r\n${refusal.code}\r\n`;

/** Text of an answer as it goes on the wire. */
export const encodeAnswer = (result: RpcAnswer): string =>
  JSON.stringify('answer' in result ? result.answer : { Error: errorText(result.refusal) });

export const INTERNAL_ERROR_CODE = 'ERR_NGROK_802';

/**
 * Serves one RPC: reads the request, answers with exactly one JSON object and ends the stream. The agent waits for
 * ever for an answer that does not come, so every path answers. `send` decides when an answer leaves.
 */
export const serveRpc = (
  stream: MuxStream,
  handle: (request: unknown) => RpcAnswer | Promise<RpcAnswer>,
  send: (write: () => void) => void,
  onBug: (error: unknown) => void,
): StreamConsumer => {
  const collector = new JsonCollector();
  let isOpen = true;
  const answer = (result: RpcAnswer): void => {
    send(() => {
      stream.end(encodeAnswer(result));
    });
  };
  const refuse = (message: string): void => {
    isOpen = false;
    answer({ refusal: { code: '', message } });
  };
  const run = async (request: unknown): Promise<void> => {
    try {
      answer(await handle(request));
    } catch (error) {
      onBug(error);
      answer({
        refusal: { code: INTERNAL_ERROR_CODE, message: 'The sandbox failed to answer this request.' },
      });
    }
  };
  return {
    data: (chunk) => {
      if (!isOpen) return;
      let request: unknown;
      try {
        request = collector.push(chunk);
      } catch (error) {
        refuse(error instanceof Error ? error.message : 'the request is not JSON');
        return;
      }
      if (request === undefined) return;
      isOpen = false;
      void run(request);
    },
    end: () => {
      if (isOpen) refuse('the request ended before its JSON was whole');
    },
  };
};
