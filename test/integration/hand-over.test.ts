import { expect, test } from 'vitest';
import { ALWAYS_ON, isAlive, startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

test('a stop in the middle of a hand-over reaches the new supervisor, which drains', async () => {
  const device = await startDevice({ config: ALWAYS_ON });
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  const tunnels = await device.tunnelPids();
  device.daemon().kill('SIGHUP');
  await waitFor(() => device.log().includes('"signal":"SIGHUP"'));
  device.daemon().kill('SIGTERM');
  expect((await device.daemon().exit).code).toBe(0);
  await waitFor(() => !tunnels.some(isAlive), { what: 'the end of the tunnels', deadlineMs: 30_000 });
  expect((await device.visit()).status).toBe(404);
  await expect(device.status()).rejects.toThrow();
  // Drained by a supervisor; one that had lost its own would have served on for the grace period.
  expect(device.log()).toContain('handed over');
});
