/** `/metrics` and `/livez` over plain HTTP. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { failed, fault, ok, type Result } from '../../core/errors.ts';

export interface MetricsServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Reads `HOST:PORT`, `[::1]:PORT`; undefined for anything else. Port 0 takes a free one. */
export const parseListen = (text: string): { readonly host: string; readonly port: number } | undefined => {
  const match = /^(?:\[([0-9a-f:]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65_535 ? undefined : { host, port };
};

/** Listens; `INTERNAL` when the address cannot be had. */
export const serveMetrics = async (
  listen: { readonly host: string; readonly port: number },
  scrape: () => Promise<string>,
): Promise<Result<MetricsServer>> => {
  const server = createServer((request, response) => {
    request.resume();
    const path = (request.url ?? '').split('?')[0];
    if (request.method === 'GET' && path === '/livez') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
      return;
    }
    if (request.method !== 'GET' || path !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    scrape().then(
      (text) => {
        response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text);
      },
      () => {
        response.writeHead(500).end();
      },
    );
  });
  server.requestTimeout = 10_000;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(listen.port, listen.host, resolve);
    });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    return failed(fault('INTERNAL', `${listen.host}:${listen.port} cannot be listened on (${code}).`, false));
  }
  const { port } = server.address() as AddressInfo;
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  return ok({
    url: `http://${host}:${port}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
};
