/**
 * What the unit runs after the daemon has ended (`ExecStopPost`). Tunnels outlive a crash of the supervisor, so that the
 * next one adopts them; they must not outlive a stop, least of all one in which the supervisor hung and was killed.
 */
import { readdir, readFile } from 'node:fs/promises';
import { type Clock, sleep } from '../core/clock.ts';

/** Tunnels drain this long at SIGTERM, and a little for good measure. */
const DRAIN_MS = 8_000;
const LOOK_MS = 100;

/**
 * `$SERVICE_RESULT` of systemd: `success` is an orderly end, `timeout` one that had to be forced. Every other one is a
 * crash, after which a new supervisor is started.
 */
export const isStop = (serviceResult: string | undefined): boolean =>
  serviceResult === 'success' || serviceResult === 'timeout';

const read = (path: string): Promise<string> => readFile(path, 'latin1').catch(() => '');

/** Processes of this one's control group, without itself. */
const companions = async (): Promise<readonly number[]> => {
  const own = await read('/proc/self/cgroup');
  // Elsewhere the group is the whole machine, or a person's session.
  if (!/\.service$/m.test(own)) return [];
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 1 && pid !== process.pid);
  const groups = await Promise.all(
    pids.map(async (pid) => ({
      pid,
      group: await read(`/proc/${pid}/cgroup`),
      stat: await read(`/proc/${pid}/stat`),
    })),
  );
  // A zombie has ended; only its parent has not noticed.
  return groups
    .filter(({ group, stat }) => group === own && !/^\d+ \(.*\) Z/s.test(stat))
    .map(({ pid }) => pid);
};

const signalAll = (pids: readonly number[], signal: NodeJS.Signals): void => {
  for (const pid of pids)
    try {
      process.kill(pid, signal);
    } catch {
      // It has just ended.
    }
};

/** Ends what is left: SIGTERM, some seconds to drain, SIGKILL. Resolves with how many were left. */
export const sweep = async (clock: Clock, env: NodeJS.ProcessEnv): Promise<number> => {
  if (!isStop(env['SERVICE_RESULT'])) return 0;
  let left = await companions();
  const found = left.length;
  signalAll(left, 'SIGTERM');
  for (const until = clock.now() + DRAIN_MS; left.length > 0 && clock.now() < until; ) {
    await sleep(clock, LOOK_MS);
    left = await companions();
  }
  signalAll(left, 'SIGKILL');
  return found;
};
