import { expect, test } from 'vitest';
import { fault } from '../../../../src/core/errors.ts';
import { outcomeLine, progressLine } from '../../../../src/fleet/cli/rotate-command.ts';

const progress = {
  total: 300,
  done: 137,
  failed: 2,
  unfinished: 1,
  skipped: 0,
  underWay: 8,
  wave: 2,
  waves: 4,
  pace: { perMinute: 40.7, leftS: 236 },
};

test('the progress says wave, count, what went wrong, pace and what is left', () => {
  expect(progressLine(progress)).toBe(
    'wave 2/4, 140/300, 2 failed, 1 unfinished, 8 under way, 41/min, 4 min left',
  );
});

test('it says no more than it knows', () => {
  const early = { ...progress, done: 0, failed: 0, unfinished: 0, pace: { perMinute: 0, leftS: null } };
  expect(progressLine(early)).toBe('wave 2/4, 0/300, 8 under way');
  const late = { ...progress, done: 297, underWay: 0, pace: { perMinute: 2.5, leftS: 0 } };
  expect(progressLine(late)).toBe('wave 2/4, 300/300, 2 failed, 1 unfinished, 2.5/min');
});

test('a device is one line, with both ids when it is not finished', () => {
  expect(outcomeLine({ device: 'press-7', state: 'done', credentials: ['cr_b'], gen: 3, fault: null })).toBe(
    'press-7  done: generation 3, cr_b',
  );
  expect(
    outcomeLine({
      device: 'press-7',
      state: 'unfinished',
      credentials: ['cr_b', 'cr_a'],
      gen: 3,
      fault: fault('NOT_FINISHED', 'cr_a could not be deleted.', true, 'ERR_NGROK_226'),
    }),
  ).toBe('press-7  unfinished (has cr_b and cr_a): NOT_FINISHED ERR_NGROK_226: cr_a could not be deleted.');
  expect(
    outcomeLine({
      device: 'press-7',
      state: 'skipped',
      credentials: ['cr_a'],
      gen: null,
      fault: fault('NOT_FINISHED', 'It is off line.', true),
    }),
  ).toBe('press-7  skipped: NOT_FINISHED: It is off line.');
});
