import { expect, test } from 'vitest';
import { ALWAYS_ON, startDevice, stateOf } from '../support/device.ts';
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

  // Who asks for it gets the old session ended first, and the gap is told before it comes.
  const announced = () => cloud.events().filter((e) => e.cause?.startsWith('break-first swap') === true);
  await device.fault({ op: 'token', authtoken: 'token-3', name: 'token-3' });
  const asked = await cloud.rekey('token-3', 3, { mode: 'break-first' });
  expect(asked).toMatchObject({ status: 'succeeded', out: { gen: 3 } });
  expect(Number(asked.out?.['gap_ms'])).toBeGreaterThan(0);
  expect(announced()).toMatchObject([{ type: 'session.lost', cause: 'break-first swap: asked for' }]);
  await waitFor(async () => (await device.visit()).status === 200);
  expect(sandbox.state().sessions).toHaveLength(1);
});

test.each(['ERR_NGROK_324', 'ERR_NGROK_350', 'ERR_NGROK_18021'])(
  'an account that counts endpoints over all sessions (%s) gets the old one ended first; where that is no help, the old token serves',
  async (code) => {
    const device = await startDevice({
      config: ALWAYS_ON,
    });
    const { cloud, sandbox } = device;
    await device.until((s) => stateOf(s) === 'up', 'web is up');
    const isFull = { code, message: 'Too many endpoints are online.' };
    answerToken(sandbox, 'token-2', 'bind', () => (sandbox.state().endpoints.length === 0 ? null : isFull));
    const swapped = await cloud.rekey('token-2', 2);
    expect(swapped).toMatchObject({ status: 'succeeded', out: { gen: 2 } });
    expect(Number(swapped.out?.['gap_ms'])).toBeGreaterThan(0);
    const told = await waitFor(() => cloud.events().find((e) => e.type === 'session.lost'));
    expect(told).toMatchObject({ code: 'NGROK_LIMIT', cause: expect.stringMatching(/^break-first swap/) });
    await waitFor(async () => (await device.visit()).status === 200);

    answerToken(sandbox, 'token-3', 'bind', () => isFull);
    expect(await cloud.rekey('token-3', 3)).toMatchObject({
      status: 'failed',
      code: 'NGROK_LIMIT',
      out: { gen: 2, ngrokCode: code },
    });
    await waitFor(async () => (await device.visit()).status === 200);
    expect((await device.status()).session.generation).toBe(2);
  },
);
