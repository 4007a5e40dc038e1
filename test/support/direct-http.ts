import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { EdgeEndpoint } from '../../src/sandbox/contract.ts';

export interface DirectAnswer {
  readonly status: number;
  readonly body: Buffer;
}

export interface DirectOptions {
  readonly method?: string;
  readonly body?: Buffer;
}

export const VISITOR = { clientAddr: '127.0.0.1:40000', passthroughTls: false } as const;

/** One HTTP/1.1 request over one proxy stream of its own, without any front end. */
export const fetchOver = async (
  endpoint: EdgeEndpoint,
  path = '/',
  options: DirectOptions = {},
): Promise<DirectAnswer> => fetchOn(await endpoint.open(VISITOR), path, options);

/** The same over a stream that is open already. */
export const fetchOn = (
  stream: Duplex,
  path: string,
  { method = 'GET', body }: DirectOptions = {},
): Promise<DirectAnswer> =>
  new Promise((resolve, reject) => {
    const outgoing = request(
      {
        method,
        path,
        headers: { host: 'direct.test', connection: 'close' },
        createConnection: () => stream,
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks) }));
        answer.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
