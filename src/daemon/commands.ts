/**
 * What each operation does: change desired state, then watch observed state until it is there. No operation touches a
 * tunnel.
 */
import { type Fault, fault, type Result } from '../core/errors.ts';
import type { Command } from '../protocol/command-schema.ts';
import type { KeyProof } from './options.ts';
import { createRekey, type RekeyOptions } from './rekey.ts';
import { endedWith, type Outcome, succeeded } from './result-book.ts';
import { createStartStop, START_DEADLINE_MS, type StartStop, type StartStopOptions } from './start-stop.ts';
import { unmet } from './unmet.ts';

/** Restarts asked for so soon after each other are one. */
const COALESCE_RESTART_MS = 10_000;

export interface CommandOptions extends StartStopOptions, RekeyOptions {
  /** Every wait of the session is over: it is tried again at once. */
  retryNow(): void;
  /** Facts for `ping`. */
  pong(iat: number): Readonly<Record<string, unknown>>;
  /** Publishes hello, reported and health. */
  report(): Promise<void>;
  resync(): Promise<void>;
  replaceKeys(set: string): Promise<Result<{ readonly version: number }>>;
  /** A new device key, and the proof that it is this device's. */
  renewKey(sealed: string): Promise<Result<KeyProof>>;
  /** Ends a command that has not begun; false when there is none such. */
  cancel(id: string): boolean;
}

export interface Commands extends Pick<StartStop, 'layAgain'> {
  /** Null when the command may be accepted, else why it is rejected. */
  precheck(command: Command): Fault | null;
  run(command: Command, signal: AbortSignal): Promise<Outcome>;
}

const UNKNOWN_EP = (name: string): Fault =>
  fault(
    'UNKNOWN_EP',
    `No endpoint ${name} is declared on this device; declare it in config.json or desired.`,
    false,
  );

export const createCommands = (options: CommandOptions): Commands => {
  const { clock, intent, waiter, swaps } = options;
  const { start, stop, layAgain } = createStartStop(options);
  const rekey = createRekey(options);
  let lastRestartAt = Number.NEGATIVE_INFINITY;

  const restart = async (signal: AbortSignal): Promise<Outcome> => {
    const isCoalesced = clock.now() - lastRestartAt < COALESCE_RESTART_MS;
    if (intent.isParked()) await intent.park(false);
    if (!isCoalesced) {
      lastRestartAt = clock.now();
      // What was refused is tried once more, and so what the result says of it is news.
      options.askedAgain([...intent.declared().keys()]);
      intent.newEpoch();
      options.retryNow();
    }
    const end = await waiter.until(
      () => swaps.steady() ?? undefined,
      START_DEADLINE_MS + options.drainMs,
      signal,
    );
    if (end.end === 'met') {
      const { refused } = end.value;
      const out = {
        ...(isCoalesced ? { noop: true } : {}),
        ...(refused.length === 0 ? {} : { refused: refused.join(' ') }),
      };
      return succeeded(Object.keys(out).length === 0 ? undefined : out);
    }
    const why = options.snapshot().session.lastError;
    return unmet(end, why ?? fault('DEADLINE', 'The new session did not take over in time.', true));
  };

  const precheck = (command: Command): Fault | null => {
    if (intent.isLocked() && command.op !== 'ping' && command.op !== 'report')
      return fault(
        'LOCKED',
        'The device is locked locally; only `lockkeeper unlock` on the box opens it again.',
        false,
      );
    if (command.op === 'start' || command.op === 'stop') {
      const { ep } = command.args;
      if (ep !== '*' && !intent.declared().has(ep)) return UNKNOWN_EP(ep);
      if (command.op === 'start' && ep !== '*') {
        const denied = options.snapshot().endpoints.find(({ name }) => name === ep);
        if (denied?.state === 'denied' && denied.lastError !== null) return denied.lastError;
      }
    }
    return command.op === 'rekey' ? rekey.precheck(command.args) : null;
  };

  const run = async (command: Command, signal: AbortSignal): Promise<Outcome> => {
    switch (command.op) {
      case 'ping':
        return succeeded(options.pong(command.iat));
      case 'start':
        return start(command.args, signal);
      case 'stop':
        return stop(command.args, signal);
      case 'restart':
        return restart(signal);
      case 'rekey':
        return rekey.run(command.id, command.args, signal);
      case 'report':
        await options.report();
        return succeeded();
      case 'resync':
        await options.resync();
        options.wake();
        return succeeded();
      case 'cancel':
        return options.cancel(command.args.id) ? succeeded() : succeeded({ noop: true });
      case 'keys': {
        const replaced = await options.replaceKeys(command.args.set);
        return replaced.ok
          ? succeeded({ version: replaced.value.version })
          : endedWith('failed', replaced.fault);
      }
      case 'newkey': {
        const renewed = await options.renewKey(command.args.sealed);
        return renewed.ok ? succeeded({ ...renewed.value }) : endedWith('failed', renewed.fault);
      }
    }
  };

  return { precheck, run, layAgain };
};
