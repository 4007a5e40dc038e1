import { expect, test } from 'vitest';
import { NotAdmitted, Turnstile } from '../../../src/sandbox/edge/turnstile.ts';
import { manualClock } from '../../support/manual-clock.ts';

const setUp = (cap: number, queueCap = 10) => {
  const clock = manualClock();
  let inside = 0;
  const turnstile = new Turnstile({
    clock,
    hasRoom: () => inside < cap,
    queueCap: () => queueCap,
    waitMs: () => 1_000,
  });
  const enter = (): Promise<number> =>
    turnstile.pass(() => {
      inside += 1;
      return inside;
    });
  const leave = (): void => {
    inside -= 1;
    turnstile.admit();
  };
  return { clock, turnstile, enter, leave, inside: () => inside };
};

test('admits up to the cap in one turn, the rest in order as others leave', async () => {
  const { enter, leave, inside } = setUp(2);
  const order: number[] = [];
  const all = [0, 1, 2, 3].map((n) => enter().then(() => order.push(n)));
  expect(inside()).toBe(2);
  leave();
  leave();
  await Promise.all(all);
  expect(order).toEqual([0, 1, 2, 3]);
  expect(inside()).toBe(2);
});

test('turns away who waits too long, and whom the queue cannot hold', async () => {
  const { clock, enter } = setUp(1, 1);
  await enter();
  const late = enter();
  await expect(enter()).rejects.toMatchObject({ code: 'STREAM_CAP' });
  await Promise.all([expect(late).rejects.toBeInstanceOf(NotAdmitted), clock.advance(1_000)]);
});

test('closing turns everybody away, now and later', async () => {
  const { turnstile, enter } = setUp(1);
  await enter();
  const waiting = enter();
  turnstile.close(new Error('gone'));
  await expect(waiting).rejects.toThrow('gone');
  await expect(enter()).rejects.toThrow('gone');
});
