import { expect, test } from 'vitest';
import { ALWAYS_ON, startDevice, stateOf } from '../support/device.ts';

test('an edge that cannot be reached in the middle of a swap leaves the old token in use', async () => {
  const device = await startDevice({
    config: {
      ...ALWAYS_ON,
      swap: { deadlineS: 5 },
    },
  });
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  const visitors = device.load(3);
  await device.fault({ op: 'refuse', on: true });
  const end = await device.cloud.rekey('second-token', 2);
  expect(end).toMatchObject({ status: 'failed', code: 'DEADLINE', out: { gen: 1, dropped: 0, gap_ms: 0 } });
  expect(end.retry_s).toBeGreaterThan(0);
  expect((await visitors.stop()).bad).toEqual([]);
  expect((await device.status()).credential.generation).toBe(1);
});
