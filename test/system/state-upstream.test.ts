import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { ALWAYS_ON, startDevice, stateOf } from '../support/device.ts';
import { freePort } from '../support/free-port.ts';
import { waitFor } from '../support/wait-for.ts';

const listen = async (port: number, status = 200): Promise<Server> => {
  const server = createServer((_asked, answer) => answer.writeHead(status).end('alive'));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
};

const close = async (server: Server): Promise<void> => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
};

const isDown = (s: { readonly conditions: readonly { readonly code: string; readonly message: string }[] }) =>
  s.conditions.find((c) => c.code === 'UPSTREAM_DOWN');

const config = (upstream: object) => ({
  upstreams: { hmi: upstream },
  ...ALWAYS_ON,
});

test('an endpoint that is up with nothing behind it says so without being asked, and takes it back', async () => {
  const port = await freePort();
  const device = await startDevice({ config: config({ url: `http://127.0.0.1:${port}` }) });
  const status = await device.until((s) => isDown(s) && stateOf(s) === 'up', 'UPSTREAM_DOWN', 30_000);
  expect(isDown(status)?.message).toContain(`127.0.0.1:${port}`);
  await waitFor(() =>
    device.cloud.reported()?.conditions?.some((c) => c.code === 'UPSTREAM_DOWN' && c.ep === 'web'),
  );
  expect((await device.visit()).status).toBe(502);

  const server = await listen(port);
  await device.until((s) => !isDown(s), 'the condition is gone', 30_000);
  expect((await device.visit()).status).toBe(200);

  await close(server);
  expect((await device.visit()).status).toBe(502);
  await device.until(isDown, 'UPSTREAM_DOWN at the first failed connection');
});

test('a healthy upstream without a check of its own is connected to once and then left alone', async () => {
  const server = await listen(0);
  const { port } = server.address() as AddressInfo;
  let connections = 0;
  server.on('connection', () => {
    connections += 1;
  });
  const device = await startDevice({ config: config({ url: `http://127.0.0.1:${port}` }) });
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  await waitFor(() => connections > 0);
  for (let i = 0; i < 5; i += 1) await device.cloud.command('resync');
  expect(connections).toBe(1);
});

test('a check by HTTP tells an upstream that listens and fails', async () => {
  const server = await listen(0, 503);
  const { port } = server.address() as AddressInfo;
  const check = { type: 'http', path: '/healthz', intervalS: 1 };
  const device = await startDevice({ config: config({ url: `http://127.0.0.1:${port}`, check }) });
  const status = await device.until(isDown, 'UPSTREAM_DOWN');
  expect(isDown(status)?.message).toContain('503');
  await close(server);
  await listen(port);
  await device.until((s) => !isDown(s), 'the condition is gone');
});
