import { expect, test } from 'vitest';
import { type Device, startDevice, stateOf } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';

/** The same order of blows each time: a failure can be run again. */
const SEED = 20_261_124;
const BLOWS = 14;

const dice = (seed: number): ((sides: number) => number) => {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
};

const killTunnel = async (device: Device): Promise<void> => {
  for (const pid of await device.tunnelPids()) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
};

const blows: Readonly<Record<string, (device: Device) => Promise<void>>> = {
  'the tunnel process is killed': killTunnel,
  'the daemon is killed': async (device) => {
    await device.kill('SIGKILL');
    await device.start();
  },
  'both are killed': async (device) => {
    await device.kill('SIGKILL');
    await killTunnel(device);
    await device.start();
  },
  'the edge cuts everybody': (device) => device.fault({ op: 'drop', how: 'rst' }),
  'the edge is restarted': async (device) => {
    await device.fault({ op: 'refuse', on: true });
    await device.fault({ op: 'drop', how: 'fin' });
    await device.until((s) => s.session.state !== 'connected', 'the session is down');
    await device.fault({ op: 'refuse', on: false });
  },
  'the broker is restarted': async (device) => {
    await device.fault({ op: 'broker', on: false });
    await device.until((s) => s.link.state !== 'connected', 'the link is down');
    await device.fault({ op: 'broker', on: true });
  },
};

test('whatever is killed, the device comes back to its desired state by itself', async () => {
  const roll = dice(SEED);
  const device = await startDevice();
  const { cloud } = device;
  await cloud.desired(1, [
    { name: 'web', on: true, proto: 'http', upstream: 'hmi', url: 'https://device-1.edge.test' },
  ]);
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  const visitors = device.load(3);
  const names = Object.keys(blows);
  for (let i = 0; i < BLOWS; i += 1) {
    const name = names[roll(names.length)] ?? '';
    await blows[name]?.(device);
    await waitFor(async () => (await device.visit()).status === 200, {
      what: `service after blow ${i}: ${name}`,
    });
    await device.until((s) => s.session.state === 'connected' && stateOf(s) === 'up', `blow ${i}: ${name}`);
    const { tunnels } = await device.until(
      (s) => s.tunnels.length === 1,
      `one tunnel after blow ${i}: ${name}`,
    );
    expect(tunnels).toHaveLength(1);
  }
  expect(visitors.good()).toBeGreaterThan(0);
  await visitors.stop();
  await device.until((s) => s.link.state === 'connected', 'the link is back', 60_000);
  expect(await cloud.command('ping')).toMatchObject({ status: 'succeeded' });
}, 300_000);
