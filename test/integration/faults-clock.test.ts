/** A wall clock that jumps while leases run, that is in 1970 at the start, and that is set right later. */
import { expect, test } from 'vitest';
import type { Cloud, ResultSeen } from '../support/cloud.ts';
import { ALWAYS_ON, startDevice, stateOf } from '../support/device.ts';
import { faultBroker } from '../support/fault-broker.ts';
import { faultClock } from '../support/fault-clock.ts';
import { waitFor } from '../support/wait-for.ts';

const TWO_DAYS_S = 2 * 86_400;

const bootOf = (cloud: Cloud): string => cloud.presence()?.boot ?? '';

const expectUnsure = (end: ResultSeen, cloud: Cloud): void => {
  expect(end).toMatchObject({ status: 'expired', code: 'CLOCK_UNSURE', retry_s: expect.any(Number) });
  expect(end.msg).toContain(bootOf(cloud));
};

test('a lease ends by the monotonic clock, whatever the wall clock does; commands are judged by what is known of the time', async () => {
  const broker = await faultBroker();
  const device = await startDevice({ start: false, brokerUrl: broker.url });
  const { cloud } = device;
  const clock = faultClock(device);
  await clock.set(0);
  await clock.start();
  expect(await cloud.command('start', { args: { ep: 'web', lease_s: 60 } })).toMatchObject({
    status: 'succeeded',
  });

  await clock.set(TWO_DAYS_S);
  await waitFor(() => cloud.events().some((e) => e.code === 'CLOCK_JUMP'), { deadlineMs: 30_000 });
  expect(stateOf(await device.status())).toBe('up');
  expect((await device.visit()).status).toBe(200);
  expect(await cloud.command('ping')).toMatchObject({ status: 'expired', code: 'EXPIRED' });
  expect(await cloud.command('ping', { iat: TWO_DAYS_S, exp: TWO_DAYS_S + 60 })).toMatchObject({
    status: 'succeeded',
    out: { clk: 'rtc' },
  });

  // The time of the jump was not believed for good: set right, the clock is trusted again.
  await clock.set(0);
  expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded', out: { clk: 'rtc' } });

  await clock.set(-TWO_DAYS_S);
  expectUnsure(await cloud.command('ping'), cloud);
  const sure = await cloud.command('ping', { boot: bootOf(cloud) });
  expect(sure).toMatchObject({ status: 'succeeded', out: { clk: 'floor' } });
  expect(stateOf(await device.status())).toBe('up');
  expect((await device.visit()).status).toBe(200);

  // Nobody can remind it: the broker is away too.
  await broker.stop('SIGKILL');
  const ended = await device.until((s) => stateOf(s) === 'down', 'the lease has ended', 75_000);
  expect(ended.link.state).not.toBe('connected');
  expect((await device.visit()).status).toBe(404);
});

test('a device that boots in 1970 serves, takes only commands of this boot, and all once its clock is right', async () => {
  const device = await startDevice({
    start: false,
    brokerUrl: (await faultBroker()).url,
    config: ALWAYS_ON,
  });
  const { cloud } = device;
  const clock = faultClock(device);
  const in1970 = -Math.floor(Date.now() / 1000) + 60;
  await clock.set(in1970);
  await clock.start();
  await device.until((s) => stateOf(s) === 'up', 'web is up in 1970');
  expect((await device.visit()).status).toBe(200);
  expectUnsure(await cloud.command('ping'), cloud);
  const other = await cloud.command('ping', { boot: '0123456789abcdef' });
  expectUnsure(other, cloud);
  expect(await cloud.command('ping', { boot: bootOf(cloud) })).toMatchObject({
    status: 'succeeded',
    out: { clk: 'floor' },
  });

  // One sender may err; two that agree with the clock make it worth remembering.
  await clock.set(0);
  expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded', out: { clk: 'rtc' } });
  const right = await cloud.command('ping');
  expect(right).toMatchObject({ status: 'succeeded', out: { clk: 'rtc' } });

  // The next boot is in 1970 again; that it is later than that is not forgotten.
  await device.kill('SIGTERM');
  await clock.set(in1970);
  await clock.start();
  expectUnsure(await cloud.command('ping'), cloud);
  const later = await cloud.command('ping', { boot: bootOf(cloud) });
  expect(later).toMatchObject({ status: 'succeeded', out: { clk: 'floor' } });
  expect(Number(later.out?.['now'])).toBeGreaterThanOrEqual(Number(right.out?.['now']));
  await clock.set(0);
  expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded', out: { clk: 'rtc' } });
});
