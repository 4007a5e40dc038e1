#!/usr/bin/env node
/** The operator's command line: arguments in, exit code out. */
import { CommanderError } from 'commander';
import { keepLoopbackDirect } from './config/proxy-variables.ts';
import { systemClock } from './core/clock.ts';
import { EXIT, LockkeeperError } from './core/errors.ts';
import { createCli } from './fleet/cli/cli.ts';
import { createProgram, exitCodeOfCommander } from './fleet/cli/program.ts';

const readStdin = async (): Promise<Uint8Array> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
};

// A reader that went away (`lockkeeper … | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
});

keepLoopbackDirect(process.env);

const cli = createCli({
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  clock: systemClock,
  readStdin,
  exit: (code) => {
    process.exitCode = code;
  },
});

try {
  await createProgram(cli).parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = exitCodeOfCommander(error);
  else if (error instanceof LockkeeperError) process.exitCode = cli.output({}).fail(error.fault);
  else throw error;
}
