/**
 * The tunnel process: `node process.ts RUNDIR TUNNEL`, with the supervisor on descriptor 3. Everything else, the
 * authtoken above all, comes over that channel.
 */
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';
import { systemClock } from '../core/clock.ts';
import { trimMemory } from './trim-memory.ts';
import { EXIT_BROKEN, TunnelProcess } from './tunnel-process.ts';

const [runDir, tunnel] = process.argv.slice(2);
if (runDir === undefined || tunnel === undefined) {
  process.stderr.write('usage: process RUNDIR TUNNEL\n');
  process.exit(64);
}

// What this process makes is for its own user alone.
process.umask(0o077);
// The SDK is given the relay's sockets by their bare names.
process.chdir(runDir);

const tunnelProcess = new TunnelProcess({
  runDir,
  tunnel,
  clock: systemClock,
  exit: (code) => process.exit(code),
});

const fail = (error: unknown): never => {
  writeSync(2, `${tunnelProcess.scrub(inspect(error))}\n`);
  process.exit(EXIT_BROKEN);
};
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
process.on('SIGTERM', () => tunnelProcess.terminate());
// A terminal's Ctrl-C is the supervisor's to answer; without one the grace period ends us.
process.on('SIGINT', () => undefined);
process.on('SIGHUP', () => undefined);
// Node would open a debugger's port, and with it the authtoken, to every local user.
process.on('SIGUSR1', () => undefined);

trimMemory(systemClock, () => tunnelProcess.isIdle);
tunnelProcess.run().catch(fail);
