import { expect, test } from 'vitest';
import { createPublishWatch } from '../../../src/link/publish-watch.ts';
import { manualClock } from '../../support/manual-clock.ts';

test('believes the second end over the same message, and forgets the first when the message gets through', async () => {
  const watch = createPublishWatch(manualClock());
  await watch.enter('a');
  expect(watch.ended(true)).toBeNull();
  const leave = await watch.enter('a');
  leave(true);
  await watch.enter('a');
  expect(watch.ended(true)).toBeNull();
  await watch.enter('a');
  expect(watch.ended(true)).toBe('a');
});

test('sends one at a time after an end with several under way, and finds the one', async () => {
  const watch = createPublishWatch(manualClock());
  const topics = ['good', 'bad', 'other'];
  for (const topic of topics) await watch.enter(topic);
  expect(watch.ended(true)).toBeNull();
  /** A connection that ends as soon as the broker meets `bad`. */
  const connection = async (): Promise<string | null> => {
    const waiting = topics.map((topic) => watch.enter(topic));
    (await waiting[0])?.(true);
    await waiting[1];
    const guilty = watch.ended(true);
    for (const enter of waiting.slice(1)) void enter.then((leave) => leave(false));
    return guilty;
  };
  expect([await connection(), await connection()]).toEqual([null, 'bad']);
});

test('blames nothing when the connection ends for another reason', async () => {
  const watch = createPublishWatch(manualClock());
  for (let i = 0; i < 3; i += 1) {
    await watch.enter('a');
    expect(watch.ended(false)).toBeNull();
  }
});

test('holds an unacknowledged message for suspicious for a second', async () => {
  const clock = manualClock();
  const watch = createPublishWatch(clock);
  watch.leaveLater(await watch.enter('health'));
  expect(watch.isBusy()).toBe(true);
  expect(watch.ended(true)).toBeNull();
  watch.leaveLater(await watch.enter('health'));
  await clock.advance(1000);
  expect(watch.isBusy()).toBe(false);
  watch.leaveLater(await watch.enter('health'));
  expect(watch.ended(true)).toBeNull();
  watch.leaveLater(await watch.enter('health'));
  expect(watch.ended(true)).toBe('health');
});
