import { expect, test } from 'vitest';
import { noticeText, socketAddress, watchdogMsOf } from '../../../src/assembly/notify.ts';
import { statusLine } from '../../../src/assembly/notify-watch.ts';
import { isStop } from '../../../src/assembly/unit-sweep.ts';
import { stalled } from '../../../src/daemon/stalled.ts';

test('a message is one variable a line, and a value cannot begin another one', () => {
  expect(noticeText({ READY: 1, STATUS: 'up\nMAINPID=1' })).toBe('READY=1\nSTATUS=up MAINPID=1');
});

test('the address of a socket is its path with a zero, or its abstract name without one', () => {
  expect(socketAddress('/run/n').subarray(2)).toEqual(Buffer.from('/run/n\0'));
  expect(socketAddress('@name').subarray(2)).toEqual(Buffer.from('\0name'));
  expect(socketAddress('@name').readUInt16LE(0)).toBe(1);
});

test.each([
  [{}, null],
  [{ WATCHDOG_USEC: '' }, null],
  [{ WATCHDOG_USEC: '0' }, null],
  [{ WATCHDOG_USEC: 'soon' }, null],
  [{ WATCHDOG_USEC: '30000000' }, 30_000],
  [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }, 30_000],
  [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }, null],
])('the watchdog of %j waits %s ms for process 7', (env, ms) => {
  expect(watchdogMsOf(env, 7)).toBe(ms);
});

test('the line for systemctl status counts the endpoints that are up and names what is wrong', () => {
  const endpoints = [{ state: 'up' }, { state: 'down' }];
  const conditions = [{ code: 'UPSTREAM_DOWN' }, { code: 'UPSTREAM_DOWN' }];
  expect(statusLine({ session: { state: 'connected' }, endpoints, conditions })).toBe(
    'session connected, 1 of 2 endpoints up; UPSTREAM_DOWN',
  );
});

test.each([
  ['success', true],
  ['timeout', true],
  ['signal', false],
  ['watchdog', false],
  ['exit-code', false],
  ['core-dump', false],
  [undefined, false],
])('after %s the rest is swept away: %s', (result, isSwept) => {
  expect(isStop(result)).toBe(isSwept);
});

test('a round that never ends and a process that nobody ends are stalls, a busy one is not', () => {
  const talks = { tunnel: 't1', silentMs: 5_000 };
  expect(stalled(0, [])).toBeNull();
  expect(stalled(20_000, [talks])).toBeNull();
  expect(stalled(61_000, [talks])).toBe('the loop has been in one round for 61 s');
  expect(stalled(0, [talks, { tunnel: 't2', silentMs: 46_000 }])).toBe(
    'tunnel process t2 has been silent for 46 s',
  );
});
