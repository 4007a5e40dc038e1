import { expect, test } from 'vitest';
import type { EndpointSpec } from '../../../src/core/endpoint.ts';
import type { Override } from '../../../src/core/override.ts';
import { noCounters } from '../../../src/core/view.ts';
import { createIdleWatch } from '../../../src/daemon/idle.ts';
import type { Snapshot } from '../../../src/daemon/snapshot.ts';
import { manualClock } from '../../support/manual-clock.ts';

const world = (spec: Partial<EndpointSpec> = {}, isSlow = false) => {
  const clock = manualClock();
  const closed: Override[] = [];
  let state = 'up';
  let lastActiveMs: number | null = null;
  const full = { name: 'web', idleCloseS: 60, metering: 'on', ...spec } as EndpointSpec;
  const watch = createIdleWatch({
    clock,
    declared: () => new Map([['web', full]]),
    snapshot: () =>
      ({
        endpoints: [{ name: 'web', state, counters: { ...noCounters(), lastActiveMs } }],
      }) as unknown as Snapshot,
    close: (overrides) => {
      closed.push(...overrides);
      if (!isSlow) state = 'down';
    },
  });
  return {
    clock,
    watch,
    closed,
    touch: () => {
      lastActiveMs = clock.wall();
    },
    open: () => {
      state = 'up';
    },
  };
};

test('an endpoint closes its idle time after it opened, without anything happening', async () => {
  const { clock, watch, closed } = world();
  watch.look();
  await clock.advance(59_000);
  expect(closed).toEqual([]);
  await clock.advance(2000);
  expect(closed).toEqual([{ endpoint: 'web', want: 'down', endsAt: null, cause: 'idle' }]);
});

test('a byte, and a command, begin the time anew', async () => {
  const { clock, watch, closed, touch } = world();
  watch.look();
  await clock.advance(50_000);
  touch();
  await clock.advance(50_000);
  watch.asked(['web']);
  await clock.advance(59_000);
  expect(closed).toEqual([]);
  await clock.advance(2000);
  expect(closed).toHaveLength(1);
});

test('an endpoint that was opened again is not closed for what happened before', async () => {
  const { clock, watch, closed, open, touch } = world();
  touch();
  watch.look();
  await clock.advance(61_000);
  expect(closed).toHaveLength(1);
  watch.look();
  await clock.advance(500_000);
  open();
  watch.look();
  await clock.advance(59_000);
  expect(closed).toHaveLength(1);
});

test('an endpoint whose traffic is not counted never looks idle', async () => {
  const { clock, watch, closed } = world({ metering: 'off' });
  watch.look();
  await clock.advance(600_000);
  expect(closed).toEqual([]);
});

test('an endpoint whose listener takes its time is told once, however often it is looked at', async () => {
  const { clock, watch, closed } = world({}, true);
  watch.look();
  await clock.advance(61_000);
  for (let look = 0; look < 5; look++) watch.look();
  expect(closed).toHaveLength(1);
  watch.asked(['web']);
  watch.look();
  await clock.advance(61_000);
  expect(closed).toHaveLength(2);
});
