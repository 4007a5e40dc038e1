/** Clock, state folder and disk of this machine. */
import { existsSync } from 'node:fs';
import { access, constants, stat, statfs } from 'node:fs/promises';
import { userInfo } from 'node:os';
import type { Clock } from '../core/clock.ts';
import { type Finding, fine, found } from './finding.ts';

/** No build of this program is older. */
const OLDEST_MS = Date.UTC(2026, 0, 1);
/** Written by systemd's time service once the clock is set. */
const SYNCHRONISED = '/run/systemd/timesync/synchronized';
const LEAST_FREE_BYTES = 16 * 1024 * 1024;

export const checkClock = (clock: Clock): Finding => {
  const now = clock.wall();
  const shown = new Date(now).toISOString();
  if (now < OLDEST_MS)
    return found(
      'clock',
      'error',
      'CLOCK_BEHIND',
      `The clock says ${shown}, which is before this program was made.`,
      'Set the clock, or let a time service do it: certificates and commands are refused until then.',
    );
  return existsSync('/run/systemd/system') && !existsSync(SYNCHRONISED)
    ? found(
        'clock',
        'warning',
        'CLOCK_UNSURE',
        `The clock says ${shown}, and the time service has not confirmed it.`,
        'Look at timedatectl, if another time service does not keep this clock.',
      )
    : fine('clock', `the clock says ${shown}`);
};

export const checkStateDir = async (dir: string): Promise<readonly Finding[]> => {
  const check = 'state folder';
  try {
    const { mode } = await stat(dir);
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(dir);
    const free = bavail * bsize;
    const findings: Finding[] = [];
    if ((mode & 0o077) !== 0)
      findings.push(
        found(
          check,
          'warning',
          'MODE_OPEN',
          `${dir} has mode ${(mode & 0o777).toString(8)}: others may look into it.`,
          `chmod 700 ${dir}`,
        ),
      );
    findings.push(
      free < LEAST_FREE_BYTES
        ? found(
            'disk',
            'error',
            'DISK_FULL',
            `The disk of ${dir} has ${Math.floor(free / 1024)} KiB free.`,
            'Free some: new authtokens and leases cannot be kept, although traffic goes on.',
          )
        : fine('disk', `${dir} can be written, ${Math.floor(free / 1_048_576)} MiB free`),
    );
    return findings;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    return code === 'EACCES'
      ? [
          found(
            check,
            'warning',
            'NOT_ALLOWED',
            `${userInfo().username} may not use ${dir}.`,
            'Run this as root or as the user of the service; if that one may not either, mend the owner.',
          ),
        ]
      : [
          found(
            check,
            code === 'ENOENT' ? 'warning' : 'error',
            'STATE_DIR_MISSING',
            `The state folder ${dir} cannot be used (${code}).`,
            'The daemon makes it at its first start, where the folder above lets it.',
          ),
        ];
  }
};
