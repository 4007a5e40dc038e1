import { expect, test } from 'vitest';
import { ALWAYS_ON, type Device, startDevice, stateOf } from '../support/device.ts';
import { sessionsOf } from '../support/swap-edge.ts';
import { waitFor } from '../support/wait-for.ts';

const upDevice = async () => {
  const device = await startDevice({
    config: ALWAYS_ON,
  });
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  return device;
};

const beginSwap = async ({ cloud, fault }: Device, gen: number): Promise<string> => {
  const token = `token-${gen}`;
  await fault({ op: 'token', authtoken: token, name: token });
  return cloud.sendRekey(token, gen);
};

test('a new or an old tunnel process that is killed in the middle of a swap is replaced, and the swap still ends', async () => {
  const device = await upDevice();
  const { cloud } = device;
  const [old = 0] = await device.tunnelPids();

  // The new process: the old one serves on, and another is started in the place of the dead one.
  const visitors = device.load(3);
  const second = await beginSwap(device, 2);
  const fresh = await waitFor(async () => (await device.tunnelPids()).find((pid) => pid !== old), {
    what: 'the new process',
  });
  process.kill(fresh, 'SIGKILL');
  expect(await cloud.result(second, 60_000)).toMatchObject({
    status: 'succeeded',
    out: { gen: 2, gap_ms: 0 },
  });
  expect((await visitors.stop()).bad).toEqual([]);

  // The old process: visitors notice, the swap does not stop for it.
  const [before = 0] = await waitFor(async () => {
    const pids = await device.tunnelPids();
    return pids.length === 1 ? pids : undefined;
  });
  const third = await beginSwap(device, 3);
  await waitFor(async () => (await device.tunnelPids()).some((pid) => pid !== before), {
    what: 'the new process',
  });
  process.kill(before, 'SIGKILL');
  const end = await cloud.result(third, 60_000);
  expect(end).toMatchObject({ status: 'succeeded', out: { gen: 3 } });
  await waitFor(async () => (await device.visit()).status === 200);
  await waitFor(() => sessionsOf(device.sandbox) === 'token-3');
  expect((await device.status()).credential).toMatchObject({ generation: 3, state: 'ok' });
});
