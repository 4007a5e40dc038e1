import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { bindSpec, tunnelLab } from '../support/tunnel-lab.ts';
import { waitFor } from '../support/wait-for.ts';

const upstream = async (): Promise<number> => {
  const server = createServer((_request, response) => response.end('hello'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
};

test('connects, binds, serves and counts', async () => {
  const lab = await tunnelLab();
  const { tunnels, event, start } = lab.supervisor();
  start();
  const connected = await event('connected');
  expect(connected.sessionId).toBe([...lab.edge.sessions.keys()][0]);
  tunnels.bind('t1', bindSpec('web', { port: await upstream() }));
  const bound = await event('bound');
  expect(bound.url).toContain('web.edge.test');
  await event('serving');
  for (let n = 0; n < 3; n += 1)
    expect(await lab.get('web.edge.test')).toEqual({ status: 200, body: 'hello' });
  const counters = await event('counters', ({ endpoints }) => endpoints['web']?.requests === 3);
  expect(counters.endpoints['web']).toMatchObject({ responses: [0, 3, 0, 0, 0], inFlight: 0, refused: 0 });
  tunnels.drain('t1', 5_000);
  await event('drained');
  expect(await event('exited')).toMatchObject({ code: 0, stderr: '' });
  await waitFor(() => lab.edge.sessions.size === 0);
});
