#!/usr/bin/env node
/** The daemon's entry: arguments, exit codes and signals. `assembly/` puts the daemon together. */
import { Command, CommanderError } from 'commander';
import { assemble } from './assembly/assemble.ts';
import { handOverTo } from './assembly/hand-over.ts';
import { initDevice } from './assembly/init-device.ts';
import { trimMemoryOnce } from './assembly/trim-memory.ts';
import { checkConfig, loadConfigHere } from './config/main-check.ts';
import { ignoreProxies } from './config/proxy-variables.ts';
import { systemClock } from './core/clock.ts';
import { EXIT, type Fault } from './core/errors.ts';
import { VERSION } from './core/version.ts';

const exitCodeOf = (f: Fault): number =>
  f.code === 'CONFIG_INVALID' ? EXIT.config : f.code === 'STORE_FAILED' ? EXIT.stateDir : EXIT.internal;

/** Nothing but these lines: the first tells what to change. */
const giveUp = (lines: readonly string[], code: number): never => {
  process.stderr.write(lines.map((line) => `${line}\n`).join(''));
  process.exit(code);
};

const run = async (file: string): Promise<void> => {
  const loaded = await loadConfigHere(file);
  if (!loaded.ok) return giveUp(loaded.lines, EXIT.config);
  const started = await assemble(loaded.value, process.env);
  if (!started.ok) return giveUp([started.fault.message], exitCodeOf(started.fault));
  const { log, stop, handOver } = started.value;
  trimMemoryOnce(systemClock);

  let isLeaving = false;
  const leave = (what: string, how: () => Promise<void>): void => {
    // A second signal does not wait for the first one's drain.
    if (isLeaving) process.exit(EXIT.ok);
    isLeaving = true;
    log.info({ signal: what }, 'signal');
    how().then(
      () => process.exit(EXIT.ok),
      (error: unknown) => {
        log.error({ err: error }, 'could not leave in order');
        process.exit(EXIT.internal);
      },
    );
  };
  process.on('SIGTERM', () => leave('SIGTERM', stop));
  process.on('SIGINT', () => leave('SIGINT', stop));
  process.on('SIGHUP', () => {
    if (isLeaving) return;
    void loadConfigHere(file).then((again) => {
      if (again.ok) leave('SIGHUP', () => handOverTo(handOver, log));
      else
        log.error(
          { problems: again.lines },
          'reload refused: the configuration is not valid, going on with the old one',
        );
    });
  });
  process.on('uncaughtException', (error) => {
    // The state of a program that met the unexpected is not known: end, and let the service manager start a new one.
    // Tunnels outlive it and are adopted.
    log.error({ err: error }, 'unexpected error');
    process.exit(EXIT.internal);
  });
};

const main = async (): Promise<void> => {
  ignoreProxies(process.env);
  const program = new Command('lockkeeperd')
    .description('Opens and closes ngrok endpoints on this device, on demand')
    .requiredOption('--config <file>', 'configuration file')
    .option('--check', 'validate the configuration, print what is in force, and exit')
    .option('--init', "make the device's key if there is none, print its public half, and exit")
    .version(VERSION)
    .exitOverride();
  try {
    program.parse();
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
    throw error;
  }
  const options = program.opts<{ config: string; check?: boolean; init?: boolean }>();
  if (options.check === true) {
    const outcome = await checkConfig(options.config);
    process.stdout.write(outcome.stdout);
    process.stderr.write(outcome.stderr);
    process.exitCode = outcome.code;
    return;
  }
  if (options.init === true) {
    const made = await initDevice(options.config);
    if (!made.ok) return giveUp([made.fault.message], exitCodeOf(made.fault));
    process.stdout.write(`${JSON.stringify(made.value)}\n`);
    return;
  }
  await run(options.config);
};

await main();
