import { expect, test } from 'vitest';
import { startDevice, stateOf } from '../support/device.ts';

test('an edge that cannot be reached in the middle of a swap leaves the old token in use', async () => {
  const device = await startDevice({
    config: {
      endpoints: [
        { name: 'web', proto: 'http', upstream: 'hmi', url: 'https://device-1.edge.test', on: true },
      ],
    },
  });
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  await device.fault({ op: 'refuse', on: true });
  const end = await device.cloud.result(
    await device.cloud.send('rekey', {
      args: { gen: 2, sealed: await device.cloud.seal('second-token', 2) },
    }),
    80_000,
  );
  expect(end).toMatchObject({ status: 'failed', out: { gen: 1 } });
  expect(['DEADLINE', 'NGROK_NET']).toContain(end.code);
  expect((await device.visit()).status).toBe(200);
  expect((await device.status()).credential.generation).toBe(1);
}, 100_000);
