import { type AddressInfo, createServer } from 'node:net';
import { Aedes, type AedesOptions } from 'aedes';
import { onTestFinished } from 'vitest';

/** An MQTT 3.1.1 broker in this process, on a free loopback port; it ends with the test. */
export const startAedes = async (
  options: AedesOptions = {},
): Promise<{ readonly aedes: Aedes; readonly url: string; readonly connects: string[] }> => {
  const aedes = await Aedes.createBroker(options);
  const server = createServer(aedes.handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connects: string[] = [];
  aedes.on('client', (client) => connects.push(client.id));
  onTestFinished(async () => {
    await new Promise<void>((resolve) => aedes.close(() => resolve()));
    await new Promise((resolve) => server.close(resolve));
  });
  return { aedes, url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`, connects };
};
