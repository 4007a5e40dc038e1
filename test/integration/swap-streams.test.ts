import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { startDevice, stateOf } from '../support/device.ts';
import { freePort } from '../support/free-port.ts';
import { waitFor } from '../support/wait-for.ts';

test('a WebSocket and a TCP stream that outlive the drain are cut at its deadline and named in the result', async () => {
  const upstream = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const sockets = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(sockets, 'listening');
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
  onTestFinished(() => {
    upstream.close();
    for (const client of sockets.clients) client.terminate();
    sockets.close();
  });
  const portOf = (server: { address(): unknown }): number => (server.address() as { port: number }).port;
  const publicPort = await freePort();
  const device = await startDevice({
    config: {
      upstreams: {
        echo: { url: `tcp://127.0.0.1:${portOf(upstream)}` },
        chat: { url: `http://127.0.0.1:${portOf(sockets)}` },
      },
      endpoints: [
        { name: 'web', proto: 'http', upstream: 'chat', url: 'https://device-1.edge.test', on: true },
        { name: 'raw', proto: 'tcp', upstream: 'echo', url: `tcp://127.0.0.1:${publicPort}`, on: true },
      ],
      drain: { deadlineS: 2 },
    },
  });
  await device.until((s) => stateOf(s, 'web') === 'up' && stateOf(s, 'raw') === 'up', 'both are up');

  const { line } = device.sandbox;
  const chat = new WebSocket(line.edge.http.replace('http', 'ws'), {
    headers: { host: 'device-1.edge.test' },
  });
  await once(chat, 'open');
  const raw = connect(publicPort, '127.0.0.1').on('error', () => undefined);
  raw.write('hello');
  await once(raw, 'data');
  let closed = 0;
  for (const stream of [chat, raw]) stream.on('close', () => (closed += 1));
  chat.on('error', () => undefined);

  await device.fault({ op: 'token', authtoken: 'token-2' });
  const end = await device.cloud.rekey('token-2', 2);
  expect(end).toMatchObject({ status: 'succeeded', out: { gen: 2, dropped: 0, cut: 2, gap_ms: 0 } });
  expect(String(end.out?.['streams']).split(' ').sort()).toEqual(['raw:tcp:1', 'web:websocket:1']);
  expect(Number(end.out?.['drain_ms'])).toBeGreaterThanOrEqual(2000);
  await waitFor(() => closed === 2, { what: 'both streams are closed' });
});
