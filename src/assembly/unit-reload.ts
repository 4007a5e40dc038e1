/** What the unit runs for `systemctl reload`: refuses a bad configuration, asks for the hand-over and waits for its end. */
import { readFile } from 'node:fs/promises';
import { loadConfigHere } from '../config/main-check.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { EXIT } from '../core/errors.ts';

/** Both halves of a hand-over have 30 s. */
const DEADLINE_MS = 65_000;
const LOOK_MS = 50;

/** Start time of a process in ticks; a number that is used again has another one. Null when it has ended. */
const bornAt = async (pid: number): Promise<string | null> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return stat === '' || fields[0] === 'Z' ? null : (fields[19] ?? null);
};

/** Exit code, with the lines for standard error: 0 once the supervisor `pid` has given its place to a new one. */
export const reload = async (
  clock: Clock,
  file: string,
  pid: number,
): Promise<{ readonly code: number; readonly lines: readonly string[] }> => {
  const loaded = await loadConfigHere(file);
  if (!loaded.ok) return { code: EXIT.config, lines: loaded.lines };
  const born = await bornAt(pid);
  if (born === null) return { code: EXIT.unavailable, lines: [`There is no process ${pid}.`] };
  process.kill(pid, 'SIGHUP');
  for (const until = clock.now() + DEADLINE_MS; clock.now() < until; await sleep(clock, LOOK_MS))
    if ((await bornAt(pid)) !== born) return { code: EXIT.ok, lines: [] };
  return { code: EXIT.timeout, lines: ['The supervisor has not handed over; its log says why.'] };
};
