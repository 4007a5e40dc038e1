import { expect, test } from 'vitest';
import { ALWAYS_ON, type Device, isAlive, startDevice, stateOf } from '../support/device.ts';
import { openPath } from '../support/path-fault.ts';
import { waitFor } from '../support/wait-for.ts';

/** A device whose way to the edge leads over a path that can go bad. */
const deviceBehindPath = async () => {
  const device = await startDevice({ start: false });
  const { line } = device.sandbox;
  const path = await openPath(Number(line.edge.addr.split(':')[1]));
  await device.writeConfig({
    ...ALWAYS_ON,
    ngrok: { authtokenFile: device.tokenFile, serverAddr: `localhost:${path.port}`, caFile: line.caFile },
  });
  return { device, path };
};

const isServed = async (device: Device): Promise<boolean> => (await device.visit()).status === 200;

test('a path that takes connections and swallows everything never counts as an edge', async () => {
  const { device, path } = await deviceBehindPath();
  path.mode('hole');
  await device.start();
  const states = new Set<string>();
  // Several attempts have to have ended.
  await waitFor(
    async () => {
      const status = await device.status();
      states.add(status.session.state);
      expect(status.tunnels.length).toBeLessThanOrEqual(1);
      return device.log().split('session refused').length > 3;
    },
    { deadlineMs: 45_000, what: 'three attempts' },
  );
  expect([...states]).toEqual(['connecting']);
  path.mode('pass');
  await waitFor(() => isServed(device), { what: 'service after the path healed' });
});

test('a dead member of the pool is given up, and twenty requests in a row are good', async () => {
  const { device, path } = await deviceBehindPath();
  await device.start();
  await device.until((s) => stateOf(s) === 'up', 'web is up');
  const [pid] = await device.tunnelPids();
  if (pid === undefined) throw new Error('no tunnel process');
  // A power cut: the edge hears nothing more of the old connection, not even its end.
  path.freeze();
  process.kill(pid, 'SIGKILL');
  await waitFor(() => !isAlive(pid));
  await device.until((s) => stateOf(s) === 'up' && s.tunnels.some((t) => t.pid !== pid), 'web is up again');
  expect(device.log()).not.toContain('ERR_NGROK_334');
  const inARow = async (): Promise<boolean> => {
    for (let i = 0; i < 20; i += 1) if (!(await isServed(device))) return false;
    return true;
  };
  await waitFor(inARow, { what: 'twenty good requests in a row', deadlineMs: 30_000 });
});
