/** More than a device can take, on a real broker that throws none of it away. */
import { expect, test } from 'vitest';
import type { Cloud, ResultSeen } from '../support/cloud.ts';
import { stateOf } from '../support/device.ts';
import { startOnMosquitto } from '../support/fault-broker.ts';
import { memoryOf } from '../support/fault-memory.ts';
import { waitFor } from '../support/wait-for.ts';

const FLOOD = 10_000;
/** So many are on their way to the broker at a time. */
const AT_ONCE = 200;
/** A daemon that kept the flood would hold several times as much. */
const ROOM_BYTES = 64 * 1024 * 1024;

/** Sends a command until one is taken, as a sender does that is told to come later; resolves with the ids it took. */
const insist = async (cloud: Cloud, op: string): Promise<readonly string[]> => {
  const ids: string[] = [];
  await waitFor(
    async () => {
      const id = await cloud.send(op);
      ids.push(id);
      const end = await cloud.result(id, 2000).catch(() => null);
      return end?.status === 'succeeded';
    },
    { deadlineMs: 60_000, what: `a ${op} after the flood` },
  );
  return ids;
};

test('ten thousand commands: each is answered, refused or counted, memory stays, and a stop and later ones get through', async () => {
  const { cloud, device } = await startOnMosquitto('5');
  expect(await cloud.command('start', { args: { ep: 'web' } })).toMatchObject({ status: 'succeeded' });
  const known = await cloud.command('ping');
  const { pid } = await device.status();
  const { now: before } = await memoryOf(pid);

  const pings: string[] = [];
  let stop = '';
  for (let sent = 0; sent < FLOOD; sent += AT_ONCE) {
    const batch = Array.from({ length: AT_ONCE }, (_, i) =>
      cloud.send('ping', i % 2 === 0 ? {} : { id: known.id }),
    );
    pings.push(...(await Promise.all(batch)).filter((id) => id !== known.id));
    if (sent === FLOOD / 2) stop = await cloud.send('stop', { args: { ep: 'web' } });
  }
  expect(await cloud.result(stop)).toMatchObject({ status: 'succeeded' });

  // What comes after it is answered like ever, as soon as the rate allows it.
  const later = await insist(cloud, 'ping');
  const reports = await insist(cloud, 'report');
  const health = await waitFor(() => cloud.health(), { what: 'health' });
  const sec = health['sec'] as Readonly<Record<string, number>>;

  const ends = [...pings, ...later].flatMap((id) => cloud.results(id).slice(-1));
  const done = ends.filter(({ status }) => status === 'succeeded');
  const limited = ends.filter(({ status }) => status !== 'succeeded');
  expect(done.length).toBeGreaterThan(5);
  expect(limited.length).toBeGreaterThan(0);
  for (const end of limited) {
    expect(end).toMatchObject({ status: 'rejected', code: 'RATE_LIMITED' });
    expect(end.retry_s).toBeGreaterThan(0);
  }
  const isRepeated = ({ dup }: ResultSeen): boolean => dup === true;
  const repeated = cloud.results(known.id).filter(isRepeated);
  expect(repeated.length).toBeGreaterThan(5);
  for (const end of repeated) expect(end).toMatchObject({ status: 'succeeded', out: known.out });
  // None was lost on the way: what was neither run nor repeated was counted.
  expect(done.length + repeated.length + (sec['rate'] ?? 0)).toBe(FLOOD + later.length + reports.length - 1);

  expect((await memoryOf(pid)).peak - before).toBeLessThan(ROOM_BYTES);
  const status = await device.status();
  expect(status.pid).toBe(pid);
  expect(stateOf(status)).toBe('down');
});
