import { expect, test } from 'vitest';
import { ALWAYS_ON, startDevice, stateOf } from '../support/device.ts';
import { countDials } from '../support/swap-edge.ts';
import { waitFor } from '../support/wait-for.ts';

test('a revoked token gives way to the other slot, and with both revoked the edge is not hammered until a key comes', async () => {
  const device = await startDevice({
    config: ALWAYS_ON,
  });
  const { cloud, sandbox } = device;
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  const first = sandbox.authtokens['default'] ?? '';
  const [second, third] = ['token-2', 'token-3'];
  await device.fault({ op: 'token', authtoken: second, name: second });
  expect(await cloud.rekey(second, 2)).toMatchObject({ status: 'succeeded' });

  // The one in use dies: the one before it still works.
  const dials = countDials(sandbox);
  await device.fault({ op: 'revoke', authtoken: second });
  await device.until((s) => s.session.generation === 1 && stateOf(s) === 'up', 'back on the first token');
  await waitFor(() =>
    cloud.events().some((e) => e.type === 'cred.refused' && e.data?.['ngrokCode'] === 'ERR_NGROK_107'),
  );
  expect((await device.visit()).status).toBe(200);

  // Then that one too. It is tried three times soon after each other, then in minutes; commands still reach the device.
  await device.fault({ op: 'revoke', authtoken: first });
  await device.until((s) => s.session.state === 'auth-failed', 'the refusal is seen');
  await waitFor(() => device.log().split('"msg":"session refused"').length - 1 >= 4, {
    what: 'one refusal of the second token and three of the first',
    deadlineMs: 40_000,
  });
  expect((await cloud.command('ping')).status).toBe('succeeded');
  const asked = dials(first) + dials(second);
  expect(asked).toBeLessThanOrEqual(14);
  expect(cloud.reported()?.cred.state).toBe('refused');

  await device.fault({ op: 'token', authtoken: third, name: third });
  expect(await cloud.rekey(third, 3)).toMatchObject({ status: 'succeeded', out: { gen: 3 } });
  await waitFor(async () => (await device.visit()).status === 200);
  expect(dials(first) + dials(second)).toBe(asked);
});
