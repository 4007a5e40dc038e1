import { expect, test } from 'vitest';
import type { HeldCredential } from '../../../../src/fleet/credential-tag.ts';
import {
  type DeviceFacts,
  liveCredential,
  newestRotation,
  nextStep,
} from '../../../../src/fleet/rotation/next-step.ts';

const OLD = '01JDJ0000000000000000000AA';
const R1 = '01JDK0000000000000000000AA';
const R2 = '01JDM0000000000000000000AA';

const held = (id: string, gen: number, more: Partial<HeldCredential['tag']> = {}): HeldCredential => ({
  id,
  tag: { tenant: 'acme', device: 'press-7', gen, mint: more.rotation ?? OLD, ...more },
  acl: ['bind:press-7.edge.test'],
  ownerId: 'service_1',
  createdAt: '2026-01-01T00:00:00Z',
});
const facts = (
  credentials: readonly HeldCredential[],
  gen: number | null,
  more: Partial<DeviceFacts> = {},
): DeviceFacts => ({
  device: 'press-7',
  held: credentials,
  reported: gen === null ? null : { gen, fp: '', isGood: true, isLocked: false },
  isOnline: true,
  triedGen: 0,
  ...more,
});
const goal = { rotation: R1 };
const cleanUp = { rotation: null };

test('a device on an older credential gets a new one of the next generation', () => {
  const a = held('a', 1);
  expect(nextStep(facts([a], 1), goal)).toEqual({ kind: 'rekey', gen: 2, model: a });
  expect(nextStep(facts([a], 7), goal)).toMatchObject({ kind: 'rekey', gen: 8 });
  expect(nextStep(facts([a], 1, { triedGen: 4 }), goal)).toMatchObject({ kind: 'rekey', gen: 5 });
});

test('once it reports the new one, every older one goes; then it is done', () => {
  const a = held('a', 1);
  const b = held('b', 2);
  const c = held('c', 3, { rotation: R1 });
  expect(nextStep(facts([c, b, a], 3), goal)).toEqual({ kind: 'delete', keep: c, gone: [b, a] });
  expect(nextStep(facts([c], 3), goal)).toEqual({ kind: 'done', credential: c });
});

test('one that may still be on its way is neither deleted nor trusted: a newer one is made', () => {
  const a = held('a', 1);
  const b = held('b', 2, { rotation: R1 });
  expect(nextStep(facts([b, a], 1), goal)).toMatchObject({ kind: 'rekey', gen: 3 });
  expect(nextStep(facts([b, a], 1), cleanUp)).toMatchObject({ kind: 'rekey', gen: 3 });
  expect(nextStep(facts([b, a], 1, { isOnline: false }), cleanUp)).toEqual({
    kind: 'blocked',
    reason: 'offline',
  });
});

test('what is proved already can be finished while the device is off line', () => {
  const a = held('a', 1);
  const b = held('b', 2, { rotation: R1 });
  expect(nextStep(facts([b, a], 2, { isOnline: false }), goal)).toMatchObject({ kind: 'delete' });
});

test('a credential made after the rotation began needs no other', () => {
  const enrolled = held('b', 1, { mint: R2 });
  expect(nextStep(facts([enrolled], 1), goal)).toMatchObject({ kind: 'done' });
  const rotated = held('b', 2, { rotation: R2 });
  expect(nextStep(facts([rotated], 2), goal)).toMatchObject({ kind: 'done' });
});

test('two of one generation are told apart by the print, else by nobody', () => {
  const a = held('a', 2);
  const b = held('b', 2);
  expect(liveCredential(facts([a, b], 2))).toBeNull();
  expect(nextStep(facts([a, b], 2), cleanUp)).toMatchObject({ kind: 'rekey', gen: 3 });
  const printed = held('c', 9, { fp: '0badc0de' });
  const reported = { gen: 2, fp: '0badc0de', isGood: true, isLocked: false };
  expect(liveCredential(facts([a, printed], 2, { reported }))).toBe(printed);
});

test('a refused token is no proof', () => {
  const b = held('b', 2, { rotation: R1 });
  const reported = { gen: 2, fp: '', isGood: false, isLocked: false };
  expect(nextStep(facts([b, held('a', 1)], 2, { reported }), goal)).toMatchObject({ kind: 'rekey', gen: 3 });
});

test('says why it can do nothing', () => {
  const a = held('a', 1);
  expect(nextStep(facts([], 1), goal)).toEqual({ kind: 'blocked', reason: 'not-enrolled' });
  expect(nextStep(facts([a], null), goal)).toEqual({ kind: 'blocked', reason: 'never-reported' });
  const reported = { gen: 1, fp: '', isGood: true, isLocked: true };
  expect(nextStep(facts([a], 1, { reported }), goal)).toEqual({ kind: 'blocked', reason: 'locked' });
  const open = { ...a, acl: [] };
  expect(nextStep(facts([open], 1), goal)).toEqual({ kind: 'blocked', reason: 'unrestricted' });
  expect(nextStep(facts([open], 1), goal, true)).toMatchObject({ kind: 'rekey' });
});

test('goes on with the newest rotation over the same scope only', () => {
  const all = [
    held('a', 2, { rotation: R1, scope: 'fleet' }),
    held('b', 2, { rotation: R2, scope: 'device' }),
  ];
  expect(newestRotation(all, 'fleet')).toBe(R1);
  expect(newestRotation(all, 'site:a')).toBeNull();
});
