import { request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** One GET over a connection of its own, for a host name that no resolver knows: `host` goes into the Host header. */
export const ask = (base: string, host: string, path = '/'): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const outgoing = request(new URL(path, base), { agent: false, headers: { host } }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.once('error', reject);
    });
    outgoing.once('error', reject);
    outgoing.end();
  });
