/** An upstream that goes away and comes back, many times. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { ALWAYS_ON, startDevice, stateOf } from '../support/device.ts';
import { faultBroker } from '../support/fault-broker.ts';
import { freePort } from '../support/free-port.ts';
import { waitFor } from '../support/wait-for.ts';

const TIMES = 12;

const listen = async (port: number): Promise<Server> => {
  const server = createServer((_asked, answer) => answer.end('alive'));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
};

const close = async (server: Server): Promise<void> => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
};

test('visitors get a clean answer each time, and all of it is one condition, told once as it begins and once as it is over', async () => {
  const port = await freePort();
  let server = await listen(port);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const device = await startDevice({
    brokerUrl: (await faultBroker()).url,
    config: {
      upstreams: { hmi: { url: `http://127.0.0.1:${port}` } },
      ...ALWAYS_ON,
    },
  });
  const { cloud } = device;
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  const five = async (): Promise<readonly number[]> =>
    (await Promise.all(Array.from({ length: 5 }, () => device.visit()))).map(({ status }) => status);
  const told = (type: string): number =>
    cloud.events().filter((e) => e.type === type && e.code === 'UPSTREAM_DOWN').length;
  const isDown = (): Promise<boolean> =>
    device.status().then((s) => s.conditions.some(({ code }) => code === 'UPSTREAM_DOWN'));

  for (let i = 0; i < TIMES; i += 1) {
    await close(server);
    expect(await five(), `time ${i}`).toEqual([502, 502, 502, 502, 502]);
    expect(await waitFor(isDown, { what: 'the condition' })).toBe(true);
    server = await listen(port);
    expect(await five(), `time ${i}`).toEqual([200, 200, 200, 200, 200]);
    // Back for a moment is not back: that shows when it has stayed.
    expect(await isDown()).toBe(true);
  }
  await waitFor(async () => !(await isDown()), { what: 'the end of the condition', deadlineMs: 30_000 });
  await waitFor(() => told('condition.cleared') > 0);
  expect([told('condition.set'), told('condition.cleared')]).toEqual([1, 1]);
  expect(cloud.events().filter((e) => e.type.startsWith('endpoint.'))).toHaveLength(1);
  expect(stateOf(await device.status())).toBe('up');
});
