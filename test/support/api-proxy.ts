/** Stands between a client and the sandbox's API, so that a test can fail the requests that it names. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';

export interface ApiProxy {
  readonly url: string;
  /** Answers 500 to every request whose path and query this is true for. */
  failing: (path: string) => boolean;
  /** Paths and queries of all requests. */
  readonly paths: string[];
}

export const startApiProxy = async (target: string): Promise<ApiProxy> => {
  const proxy: { -readonly [K in keyof ApiProxy]: ApiProxy[K] } = {
    url: '',
    failing: () => false,
    paths: [],
  };
  const server = createServer((request, response) => {
    void (async () => {
      const path = request.url ?? '';
      proxy.paths.push(path);
      const body = await buffer(request);
      if (proxy.failing(path)) {
        response
          .writeHead(500, { 'content-type': 'application/json' })
          .end('{"status_code":500,"msg":"broken"}');
        return;
      }
      const { host: _host, connection: _connection, ...headers } = request.headers;
      const answer = await fetch(`${target}${path}`, {
        method: request.method ?? 'GET',
        headers: headers as Record<string, string>,
        ...(body.length === 0 ? {} : { body }),
      });
      const text = await answer.text();
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text);
    })();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
};
