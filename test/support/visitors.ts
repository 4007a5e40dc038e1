/** Visitors of a public name: one request at a time, or many clients that keep asking until they are told to stop. */
import { Agent, request } from 'node:http';

export interface Visit {
  /** 0 when the connection failed; `error` says how. */
  readonly status: number;
  readonly body: string;
  readonly error?: string;
}

export interface Door {
  /** URL of the sandbox's HTTP front. */
  readonly http: string;
  /** Host header. */
  readonly host: string;
}

/** Asks once. A failed connection is an answer with status 0, never an exception. */
export const visit = ({ http, host }: Door, path = '/', agent?: Agent): Promise<Visit> =>
  new Promise((resolve) => {
    const asked = request(
      `${http}${path}`,
      { headers: { host }, ...(agent === undefined ? { agent: false } : { agent }) },
      (answer) => {
        let body = '';
        const failed = (error: NodeJS.ErrnoException): void =>
          resolve({ status: 0, body, error: error.code ?? error.message });
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
        answer.on('error', failed);
      },
    );
    asked.on('error', (error: NodeJS.ErrnoException) =>
      resolve({ status: 0, body: '', error: error.code ?? error.message }),
    );
    asked.end();
  });

export interface Load {
  /** Good answers so far. */
  good(): number;
  /** Answers that were not 200, as `status error body`, in order. */
  bad(): readonly string[];
  /** Resolves once every client has had its last answer. */
  stop(): Promise<{ readonly good: number; readonly bad: readonly string[] }>;
}

/**
 * Starts `clients` that ask one after the other on connections of their own; each takes the path of its number and
 * rests `restMs` between two requests.
 */
export const startLoad = (
  door: Door,
  clients: number,
  pathOf: (client: number) => string,
  restMs = 0,
): Load => {
  let isOver = false;
  let good = 0;
  const bad: string[] = [];
  const run = async (client: number): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!isOver) {
      const { status, body, error } = await visit(door, pathOf(client), agent);
      if (status === 200) good += 1;
      else bad.push(`${status} ${error ?? ''} ${body.slice(0, 120)}`);
      if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
    }
    agent.destroy();
  };
  const all = Promise.all(Array.from({ length: clients }, (_, client) => run(client)));
  return {
    good: () => good,
    bad: () => bad,
    stop: async () => {
      isOver = true;
      await all;
      return { good, bad };
    },
  };
};
