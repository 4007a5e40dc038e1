import { expect, test } from 'vitest';
import type { FailureKind } from '../../../src/link/link-errors.ts';
import {
  afterDown,
  afterQuiet,
  afterUp,
  INITIAL_RECONNECT,
  type ReconnectState,
} from '../../../src/link/reconnect-policy.ts';

const MINUTE = 60_000;

/** Fails `times` times in a row, one second apart, and returns the delays with the given random number. */
const delays = (kind: FailureKind, times: number, random01: number, spreadMs = 0): number[] => {
  let state = INITIAL_RECONNECT;
  return Array.from({ length: times }, (_, i) => {
    const next = afterDown(state, { kind, atMs: i * 1000, upMs: null }, spreadMs, random01);
    state = next.state;
    return next.delayMs;
  });
};

test('doubles the widest wait from one second to five minutes', () => {
  expect(delays('network', 11, 0.999).map(Math.round)).toEqual([
    999, 1998, 3996, 7992, 15_984, 31_968, 63_936, 127_872, 255_744, 299_700, 299_700,
  ]);
});

test('spreads a wait over its whole range and never hammers', () => {
  expect(delays('network', 8, 0)).toEqual(Array(8).fill(100));
});

test('spreads the first return over the given window when the whole broker goes, and only the first', () => {
  expect(delays('broker-wide', 3, 0.5, 600_000)).toEqual([300_000, 1000, 2000]);
  expect(delays('broker-wide', 1, 0.5, 0)).toEqual([500]);
});

test('takes the end of a settled link for the whole broker going, the end of a young one not', () => {
  const end = (upMs: number) =>
    afterDown(INITIAL_RECONNECT, { kind: 'closed', atMs: 1e6, upMs }, 600_000, 0.5).delayMs;
  expect(end(MINUTE)).toBe(300_000);
  expect(end(MINUTE - 1)).toBe(500);
});

test('keeps its penalty while the link flaps, and loses it after a minute up', () => {
  const state: ReconnectState = { ...INITIAL_RECONNECT, attempts: 6 };
  const down = (upMs: number) => afterDown(state, { kind: 'network', atMs: 1e6, upMs }, 0, 0.5);
  expect(down(MINUTE - 1).delayMs).toBe(32_000);
  expect(down(MINUTE).delayMs).toBe(500);
});

test('waits at least five seconds after three quick drops', () => {
  let state = INITIAL_RECONNECT;
  const waits = Array.from({ length: 3 }, (_, i) => {
    const next = afterDown(state, { kind: 'refused', atMs: i * 1000, upMs: 10 }, 0, 0);
    state = next.state;
    return next.delayMs;
  });
  expect(waits).toEqual([100, 100, 5000]);
});

test('makes at most ten connections in five minutes when none lasts', () => {
  let state = INITIAL_RECONNECT;
  let now = 0;
  const connects: number[] = [];
  while (now < 30 * MINUTE) {
    connects.push(now);
    const next = afterDown(state, { kind: 'refused', atMs: now + 10, upMs: 10 }, 0, 0);
    state = next.state;
    now += 10 + next.delayMs;
  }
  for (const from of connects)
    expect(connects.filter((at) => at >= from && at < from + 5 * MINUTE).length).toBeLessThanOrEqual(10);
  expect(connects.length).toBeGreaterThan(20);
});

test('tries a refused certificate hourly after two quick tries, but a clock twice a minute', () => {
  expect(delays('certificate', 4, 0.5)).toEqual([500, 1000, 3_600_000, 3_600_000]);
  expect(Math.max(...delays('clock', 30, 0.999))).toBeLessThanOrEqual(30_000);
  expect(Math.max(...delays('files', 30, 0.999))).toBeLessThanOrEqual(30_000);
});

test('rests a minute after a flood', () => {
  expect(delays('flood', 1, 0.3)).toEqual([MINUTE]);
});

test('backs off one to ten minutes at the third take-over within five minutes', () => {
  const storm = (gapMs: number, random01: number) => {
    let state = INITIAL_RECONNECT;
    return Array.from({ length: 3 }, (_, i) => {
      const next = afterDown(state, { kind: 'taken-over', atMs: i * gapMs, upMs: 2 * MINUTE }, 0, random01);
      state = next.state;
      return { delayMs: next.delayMs, isDuplicate: state.isDuplicate };
    }).at(-1);
  };
  expect(storm(MINUTE, 0)).toEqual({ delayMs: MINUTE, isDuplicate: true });
  expect(storm(MINUTE, 0.999_999)?.delayMs).toBeCloseTo(10 * MINUTE, -1);
  expect(storm(3 * MINUTE, 0)).toEqual({ delayMs: 100, isDuplicate: false });
});

/** Silent closes of a standing link, each survived by the next connect; how many until another client is suspected. */
const silentCloses = (
  sessionPresent: boolean,
  failBetween?: FailureKind,
): { closes: number; delayMs: number } => {
  let state = INITIAL_RECONNECT;
  for (let closes = 1; closes <= 20; closes += 1) {
    const atMs = closes * 10_000;
    state = afterDown(state, { kind: 'closed', atMs, upMs: 5000 }, 0, 0).state;
    if (failBetween !== undefined)
      state = afterDown(state, { kind: failBetween, atMs: atMs + 1, upMs: null }, 0, 0).state;
    state = afterUp(state, atMs + 2, sessionPresent);
    if (state.isDuplicate) {
      const next = afterDown(state, { kind: 'closed', atMs: atMs + 3, upMs: 1 }, 0, 0);
      return { closes, delayMs: next.delayMs };
    }
  }
  return { closes: 0, delayMs: 0 };
};

test('suspects a second client from silent closes too, the sooner when the session survives', () => {
  expect(silentCloses(true)).toEqual({ closes: 3, delayMs: MINUTE });
  expect(silentCloses(false)).toEqual({ closes: 4, delayMs: MINUTE });
});

test('takes closes that are followed by an unreachable broker for restarts, not for take-overs', () => {
  expect(silentCloses(true, 'network').closes).toBe(0);
});

test('still suspects a second client when the broker also closes on the first connect after a take-over', () => {
  expect(silentCloses(true, 'closed-early')).toEqual({ closes: 3, delayMs: MINUTE });
});

test('believes that the second client is gone after five quiet minutes', () => {
  const suspected = { ...INITIAL_RECONNECT, isDuplicate: true };
  expect(afterQuiet(suspected, 5 * MINUTE - 1).isDuplicate).toBe(true);
  expect(afterQuiet(suspected, 5 * MINUTE).isDuplicate).toBe(false);
});
