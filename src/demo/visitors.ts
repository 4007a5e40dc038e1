/** Visitors of the public URL. They reach the sandbox's front end directly, whatever proxy the environment names. */
import { Agent, get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

export interface Answer {
  /** HTTP status, or the error's code when there was none. */
  readonly status: number | string;
  readonly body: string;
  readonly ms: number;
}

/** What a crowd has seen so far. */
export interface Tally {
  readonly served: number;
  /** Requests without a whole 200, by what came instead. */
  readonly lost: Readonly<Record<string, number>>;
  readonly worstMs: number;
}

export interface Crowd {
  tally(): Tally;
  /** Resolves when every request under way has its end. */
  leave(): Promise<Tally>;
}

export interface Visitors {
  visit(path?: string): Promise<Answer>;
  /** Asks until an answer is 200; resolves with the milliseconds that took. Rejects at the deadline. */
  untilServed(deadlineMs: number): Promise<number>;
  /** This many clients, each asking again as soon as it is answered; every tenth asks for the slow page. */
  crowd(clients: number): Crowd;
  close(): void;
}

const ANSWER_MS = 10_000;
const ASK_EVERY_MS = 20;

/** Total of the requests that were lost. */
export const lostOf = ({ lost }: Tally): number => Object.values(lost).reduce((sum, n) => sum + n, 0);

/** @param frontUrl the sandbox's `edge.http`; @param host the public name */
export const createVisitors = (frontUrl: string, host: string): Visitors => {
  const agent = new Agent({ keepAlive: true });

  const visit = (path = '/'): Promise<Answer> =>
    new Promise((resolve) => {
      const startedAt = performance.now();
      const give = (status: number | string, body: string): void =>
        resolve({ status, body, ms: performance.now() - startedAt });
      const request = get(new URL(path, frontUrl), { agent, headers: { host } }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('error', (error: NodeJS.ErrnoException) => give(error.code ?? error.message, body));
        response.on('end', () => give(response.statusCode ?? 0, body));
      });
      request.setTimeout(ANSWER_MS, () =>
        request.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })),
      );
      request.on('error', (error: NodeJS.ErrnoException) => give(error.code ?? error.message, ''));
    });

  const untilServed = async (deadlineMs: number): Promise<number> => {
    const startedAt = performance.now();
    for (;;) {
      const { status } = await visit();
      const ms = performance.now() - startedAt;
      if (status === 200) return ms;
      if (ms > deadlineMs) throw new Error(`still ${status} after ${Math.round(ms)} ms`);
      await delay(ASK_EVERY_MS);
    }
  };

  const crowd = (clients: number): Crowd => {
    let isOver = false;
    let served = 0;
    let worstMs = 0;
    const lost: Record<string, number> = {};
    const tally = (): Tally => ({ served, worstMs, lost: { ...lost } });
    const client = async (i: number): Promise<void> => {
      while (!isOver) {
        const { status, ms } = await visit(i % 10 === 9 ? '/slow' : '/');
        worstMs = Math.max(worstMs, ms);
        if (status === 200) served += 1;
        else {
          lost[status] = (lost[status] ?? 0) + 1;
          await delay(ASK_EVERY_MS);
        }
      }
    };
    const all = Promise.all(Array.from({ length: clients }, (_, i) => client(i)));
    return {
      tally,
      async leave() {
        isOver = true;
        await all;
        return tally();
      },
    };
  };

  return { visit, untilServed, crowd, close: () => agent.destroy() };
};
