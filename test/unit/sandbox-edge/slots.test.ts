import { expect, test } from 'vitest';
import { DEFAULT_SETTINGS } from '../../../src/sandbox/edge/settings.ts';
import { Slots } from '../../../src/sandbox/edge/slots.ts';
import { manualClock } from '../../support/manual-clock.ts';

const setUp = () => {
  const clock = manualClock();
  const settings = { ...DEFAULT_SETTINGS, streamCap: 4, slotCap: 6, slotCoolMs: 100 };
  let open = 0;
  const slots = new Slots({ clock, settings, streams: () => open });
  const enter = (): Promise<void> =>
    slots.turnstile.pass(() => {
      open += 1;
    });
  const end = (): void => {
    open -= 1;
    slots.ended();
  };
  return { clock, slots, enter, end, open: () => open };
};

test('25: ended streams count for a while, since the agent frees their slots later and does not say so', async () => {
  const { clock, enter, end, open } = setUp();
  for (let each = 0; each < 4; each += 1) await enter();
  const waiting = Array.from({ length: 4 }, () => enter());
  for (let each = 0; each < 4; each += 1) end();
  // Four cool, so two of the six slots are left.
  expect(open()).toBe(2);
  await clock.advance(120);
  await Promise.all(waiting);
  expect(open()).toBe(4);
});

test('sets no timer while nobody waits, and leaves none behind', async () => {
  const { clock, slots, enter, end } = setUp();
  await enter();
  end();
  expect(clock.pending).toBe(0);
  slots.close(new Error('gone'));
  expect(clock.pending).toBe(0);
});
