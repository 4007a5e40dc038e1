import { expect, test } from 'vitest';
import { startDevice, stateOf } from '../support/device.ts';
import { answerToken } from '../support/swap-edge.ts';
import { waitFor } from '../support/wait-for.ts';

test('an endpoint that cannot be open twice, and an account that is full, change hands with a gap that is measured', async () => {
  const device = await startDevice({
    config: {
      endpoints: [
        {
          name: 'web',
          proto: 'http',
          upstream: 'hmi',
          url: 'https://device-1.edge.test',
          on: true,
          pooling: false,
        },
      ],
    },
  });
  const { cloud, sandbox } = device;
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  await device.fault({ op: 'token', authtoken: 'token-2', name: 'token-2' });
  const end = await cloud.rekey('token-2', 2);
  expect(end).toMatchObject({ status: 'succeeded', out: { gen: 2 } });
  expect(Number(end.out?.['gap_ms'])).toBeGreaterThan(0);
  expect((await device.visit()).status).toBe(200);

  // An account that counts endpoints over all sessions takes the new one only when the old one is down.
  answerToken(sandbox, 'token-3', 'bind', () =>
    sandbox.state().endpoints.length === 0
      ? null
      : { code: 'ERR_NGROK_350', message: 'Too many endpoints are online.' },
  );
  const asked = await cloud.rekey('token-3', 3, { mode: 'break-first' });
  expect(asked).toMatchObject({ status: 'succeeded', out: { gen: 3 } });
  expect(Number(asked.out?.['gap_ms'])).toBeGreaterThan(0);
  await waitFor(async () => (await device.visit()).status === 200);
  expect(sandbox.state().sessions).toHaveLength(1);
}, 60_000);
