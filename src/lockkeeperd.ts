#!/usr/bin/env node
/** The daemon's entry: arguments, exit codes and signals. `assembly/` puts the daemon together. */
import { setFlagsFromString } from 'node:v8';
import { Command, CommanderError, Option } from 'commander';
import { assemble } from './assembly/assemble.ts';
import { guardMemory } from './assembly/guard-memory.ts';
import { beginAnew, handOverTo, isContainerMain, TAKE_OVER_FLAG, takeOver } from './assembly/hand-over.ts';
import { initDevice } from './assembly/init-device.ts';
import { openNotifier } from './assembly/notify.ts';
import { feedWatchdog } from './assembly/notify-watch.ts';
import { reload } from './assembly/unit-reload.ts';
import { sweep } from './assembly/unit-sweep.ts';
import { checkConfig, loadConfigHere } from './config/main-check.ts';
import { ignoreProxies } from './config/proxy-variables.ts';
import { lendServiceCredentials } from './config/service-credentials.ts';
import { systemClock } from './core/clock.ts';
import { EXIT, type Fault } from './core/errors.ts';
import { VERSION } from './core/version.ts';
import { trimMemory } from './tunnel/trim-memory.ts';

const exitCodeOf = (f: Fault): number =>
  f.code === 'CONFIG_INVALID' ? EXIT.config : f.code === 'STORE_FAILED' ? EXIT.stateDir : EXIT.internal;

/** Nothing but these lines: the first tells what to change. */
const giveUp = (lines: readonly string[], code: number): never => {
  process.stderr.write(lines.map((line) => `${line}\n`).join(''));
  process.exit(code);
};

/** For the service manager: what a stop may take beyond the drain itself, before it counts as hung. */
const STOP_SPARE_MS = 20_000;

const run = async (file: string, isSuccessor: boolean): Promise<void> => {
  const leak = guardMemory(process.env);
  if (leak !== null) return giveUp([leak], EXIT.config);
  const clock = systemClock;
  const loaded = await loadConfigHere(file);
  if (!loaded.ok) return giveUp(loaded.lines, EXIT.config);
  const notifier = await openNotifier(process.env, clock).catch((error: unknown) =>
    giveUp([`The service manager cannot be told anything: ${String(error)}`], EXIT.internal),
  );
  const turn = isSuccessor ? takeOver(clock) : null;
  if (turn !== null && !(await turn.place()))
    return giveUp(['The supervisor that was to hand over has ended.'], EXIT.internal);
  const started = await assemble(loaded.value, process.env);
  if (!started.ok) return giveUp([started.fault.message], exitCodeOf(started.fault));
  const { log, stop, handOver } = started.value;
  // No visitor's traffic passes here: the young generation stays small, and trimming costs nobody a moment.
  setFlagsFromString('--semi-space-growth-factor=1');
  trimMemory(clock, () => true);

  let leaving: 'no' | 'stop' | 'hand-over' = 'no';
  let isStopDue = false;
  const end = (how: Promise<unknown>): void => {
    how.then(
      () => process.exit(EXIT.ok),
      (error: unknown) => {
        log.error({ err: error }, 'could not leave in order');
        process.exit(EXIT.internal);
      },
    );
  };
  const onStop = (signal: string): void => {
    // A second signal does not wait for the first one's drain.
    if (leaving === 'stop' || isStopDue) process.exit(EXIT.ok);
    log.info({ signal }, 'signal');
    isStopDue = true;
    if (leaving === 'hand-over') return;
    leaving = 'stop';
    isStopDue = false;
    const { drain } = loaded.value.config;
    notifier.send({
      STOPPING: 1,
      STATUS: 'draining',
      EXTEND_TIMEOUT_USEC: (drain.deadlineS * 1000 + STOP_SPARE_MS) * 1000,
    });
    end(stop());
  };
  const onReload = async (): Promise<void> => {
    if (leaving !== 'no') return;
    const again = await loadConfigHere(file);
    if (!again.ok) {
      const problems = again.lines;
      log.error({ problems }, 'reload refused: the configuration is not valid, going on with the old one');
      return;
    }
    leaving = 'hand-over';
    log.info({ signal: 'SIGHUP' }, 'signal');
    if (await isContainerMain()) return beginAnew(handOver);
    const successor = await handOverTo({ letGo: handOver, log, notifier, clock });
    if (successor !== null) {
      // Whoever asked this one to stop meant the service.
      if (isStopDue) process.kill(successor, 'SIGTERM');
      process.exit(EXIT.ok);
    }
    leaving = 'no';
    if (isStopDue) {
      isStopDue = false;
      onStop('SIGTERM');
    }
  };
  process.on('SIGTERM', onStop);
  process.on('SIGINT', onStop);
  process.on('SIGHUP', () => {
    onReload().catch((error: unknown) => {
      log.error({ err: error }, 'could not hand over');
      process.exit(EXIT.internal);
    });
  });
  process.on('uncaughtException', (error) => {
    // The state of a program that met the unexpected is not known: end, and let the service manager start a new one.
    // Tunnels outlive it and are adopted.
    log.error({ err: error }, 'unexpected error');
    process.exit(EXIT.internal);
  });

  // A manager starts another one when the one before was killed in between; without a manager this one is the next.
  if (turn !== null && !(await turn.serve()) && notifier.isOn) process.exit(EXIT.internal);
  notifier.send({ READY: 1, STATUS: started.value.statusLine() });
  const { stalled, statusLine } = started.value;
  feedWatchdog({ notifier, clock, log, stalled, status: statusLine });
  turn?.finish();
};

const main = async (): Promise<void> => {
  ignoreProxies(process.env);
  const program = new Command('lockkeeperd')
    .description('Opens and closes ngrok endpoints on this device, on demand')
    .requiredOption('--config <file>', 'configuration file')
    .option('--check', 'validate the configuration, print what is in force, and exit')
    .option('--init', "make the device's key if there is none, print its public half, and exit")
    .option('--reload <pid>', 'for the unit: have this supervisor hand over to a new one, and wait for it')
    .option('--sweep', 'for the unit: after a stop, end what is left of the service')
    .addOption(new Option(TAKE_OVER_FLAG).hideHelp())
    .version(VERSION)
    .exitOverride();
  try {
    program.parse();
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
    throw error;
  }
  const options = program.opts<{
    config: string;
    check?: boolean;
    init?: boolean;
    reload?: string;
    sweep?: boolean;
    takeOver?: boolean;
  }>();
  if (options.check === true) {
    lendServiceCredentials(process.env);
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
  if (options.reload !== undefined) {
    const { code, lines } = await reload(systemClock, options.config, Number(options.reload));
    return giveUp(lines, code);
  }
  if (options.sweep === true) {
    const found = await sweep(systemClock, process.env);
    if (found > 0) process.stdout.write(`${found} processes were left after the stop; they were ended.\n`);
    return;
  }
  await run(options.config, options.takeOver === true);
};

await main();
