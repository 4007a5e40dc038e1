/** WebSockets through the tunnel: brief ones that must never fail, and long ones that a drain deadline may cut. */
import { WebSocket } from 'ws';
import type { Door } from '../test/support/visitors.ts';
import { pause } from './lab.ts';

export interface WebSocketLoad {
  /** Messages that came back. */
  echoes(): number;
  /** Brief WebSockets that ended without having been asked to, or did not open. */
  failed(): readonly string[];
  /** Long ones that were ended from the other side and came back. */
  reconnects(): number;
  stop(): Promise<void>;
}

/** A brief one sends so many messages, one after the other, then closes in order. */
const BRIEF_MESSAGES = 3;
const EVERY_MS = 20;

export const startWebSockets = (
  { http, host }: Door,
  count: { readonly brief: number; readonly long: number; readonly longRestMs: number },
): WebSocketLoad => {
  let isOver = false;
  let echoes = 0;
  let reconnects = 0;
  const failed: string[] = [];

  /** Resolves with null after a close in order, else with what happened. */
  const life = (messages: number): Promise<string | null> =>
    new Promise((resolve) => {
      const socket = new WebSocket(http.replace(/^http/, 'ws'), { headers: { host } });
      let left = messages;
      let isClosing = false;
      let problem = 'ended';
      socket.on('open', () => socket.send('ping'));
      socket.on('message', () => {
        echoes += 1;
        left -= 1;
        if (left > 0 && !isOver) setTimeout(() => socket.send('ping', () => undefined), EVERY_MS);
        else {
          isClosing = true;
          socket.close(1000);
        }
      });
      // The text of a refusal tells whose it is: the edge's, the relay's or the upstream's.
      socket.on('unexpected-response', (_asked, answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        answer.once('close', () => resolve(`${answer.statusCode} ${text.slice(0, 200)}`));
      });
      socket.on('error', (error) => {
        problem = error.message;
      });
      socket.on('close', (code) => resolve(isClosing ? null : `${problem} (${code})`));
    });

  const brief = async (): Promise<void> => {
    while (!isOver) {
      const problem = await life(BRIEF_MESSAGES);
      if (problem !== null) failed.push(problem);
    }
  };
  const long = async (): Promise<void> => {
    while (!isOver) {
      if ((await life(Number.POSITIVE_INFINITY)) === null) continue;
      reconnects += 1;
      const until = performance.now() + count.longRestMs;
      while (!isOver && performance.now() < until) await pause(100);
    }
  };
  const all = Promise.all([
    ...Array.from({ length: count.brief }, brief),
    ...Array.from({ length: count.long }, long),
  ]);
  return {
    echoes: () => echoes,
    failed: () => failed,
    reconnects: () => reconnects,
    stop: async () => {
      isOver = true;
      await all;
    },
  };
};
