/** SIGHUP: a new supervisor takes the place of this one while the tunnels go on. */
import { spawn } from 'node:child_process';
import type { Logger } from 'pino';

/** Lets go of everything, starts the same program again, and resolves once it runs by itself. */
export const handOverTo = async (letGo: () => Promise<void>, log: Logger): Promise<void> => {
  await letGo();
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio: 'inherit',
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  log.info({ pid: child.pid }, 'handed over');
  child.unref();
};
