import { expect, test } from 'vitest';
import type { FailureKind } from '../../../src/link/link-errors.ts';
import {
  chooseProtocol,
  initialProtocol,
  type ProtocolState,
  protocolFailed,
  protocolWorked,
} from '../../../src/link/protocol-choice.ts';

const NOW = 1_800_000_000_000;
const DAY = 86_400_000;

/** Lets every attempt fail as told and returns the versions tried. */
const tried = (kinds: readonly FailureKind[], from: ProtocolState = initialProtocol(null)): number[] => {
  let state = from;
  return kinds.map((kind) => {
    const version = chooseProtocol(state, 'auto', NOW);
    state = protocolFailed(state, version, kind);
    return version;
  });
};

test('starts with 5 and goes to 3.1.1 at once when the version is refused, and back again', () => {
  expect(tried(['version', 'version', 'version'])).toEqual([5, 4, 5]);
});

test('gives 3.1.1 one try after two closes before the greeting', () => {
  expect(tried(['closed-early', 'closed-early', 'closed-early', 'closed-early'])).toEqual([5, 5, 4, 5]);
});

test('keeps to 3.1.1 when its one try is answered, if only by a refused login', () => {
  const early = ['closed-early', 'closed-early'] as const;
  expect(tried([...early, 'auth', 'auth', 'network', 'auth'])).toEqual([5, 5, 4, 4, 4, 4]);
  expect(tried([...early, 'broker-wide', 'version', 'auth'])).toEqual([5, 5, 4, 4, 5]);
});

test('counts only closes in a row', () => {
  expect(tried(['closed-early', 'network', 'closed-early', 'closed-early', 'network', 'network'])).toEqual([
    5, 5, 5, 5, 4, 5,
  ]);
});

test('never changes the version over refused credentials or certificates', () => {
  for (const kind of ['auth', 'certificate', 'tls', 'clock', 'refused', 'broker-wide'] as const)
    expect(new Set(tried(Array(6).fill(kind)))).toEqual(new Set([5]));
});

test('remembers 3.1.1 for a day from the fall-back, not from the last connect', () => {
  let state = protocolWorked(initialProtocol(null), 4, NOW);
  state = protocolWorked(state, 4, NOW + DAY / 2);
  expect(state.remembered).toEqual({ version: 4, sinceMs: NOW });
  expect(chooseProtocol(state, 'auto', NOW + DAY - 1)).toBe(4);
  expect(chooseProtocol(state, 'auto', NOW + DAY)).toBe(5);
  expect(protocolWorked(state, 4, NOW + DAY).remembered).toEqual({ version: 4, sinceMs: NOW + DAY });
});

test('keeps a remembered version while the clock is behind', () => {
  const state = initialProtocol({ version: 4, sinceMs: NOW });
  expect(chooseProtocol(state, 'auto', NOW - 30 * DAY)).toBe(4);
});

test('obeys a configured version whatever happened', () => {
  const state = protocolFailed(initialProtocol(null), 5, 'version');
  expect(chooseProtocol(state, '5', NOW)).toBe(5);
  expect(chooseProtocol(initialProtocol(null), '4', NOW)).toBe(4);
});
