/**
 * SIGHUP: a new supervisor takes the place of this one while the tunnels go on. The new one is started first and shows
 * that it can run; then this one lets go, the new one takes up, and the service manager knows of it before this one ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Clock } from '../core/clock.ts';
import type { Notifier } from './notify.ts';

/** Tells the program that it is a successor: its place is made free over the channel that it was started with. */
export const TAKE_OVER_FLAG = '--take-over';

/** A number: the successor's id; it can run and wants the place. `take`: it is free. `ready`: it serves. `main`: the manager was told. */
type Word = number | 'take' | 'ready' | 'main';

/** Starting Node and reading the configuration on a small device, and opening state and adopting tunnels. */
const STEP_DEADLINE_MS = 30_000;
const TAKEN_DEADLINE_MS = 5_000;

export interface HandOverOptions {
  /** Lets go of everything for the next supervisor. */
  letGo(): Promise<void>;
  readonly log: Logger;
  readonly notifier: Notifier;
  readonly clock: Clock;
}

/** The next word, or null when the other side ended or said nothing in time. */
const nextWord = (from: ChildProcess | NodeJS.Process, clock: Clock, deadlineMs?: number): Promise<unknown> =>
  new Promise((resolve) => {
    const done = (word: unknown): void => {
      cancel?.();
      from.removeListener('message', heard);
      from.removeListener('disconnect', lost);
      resolve(word);
    };
    const heard = (word: unknown): void => done(word);
    const lost = (): void => done(null);
    const cancel = deadlineMs === undefined ? undefined : clock.after(deadlineMs, lost);
    from.on('message', heard);
    from.once('disconnect', lost);
    if (from.connected !== true) lost();
  });

/**
 * Through a shell that ends at once, so that the successor is a child of the manager before it becomes the main process:
 * systemd treats a main process that is another one's child as foreign, and kills it at a stop without waiting.
 */
const startSuccessor = (): ChildProcess => {
  const args = process.argv.slice(1).filter((arg) => arg !== TAKE_OVER_FLAG);
  const program = [process.execPath, ...process.execArgv, ...args, TAKE_OVER_FLAG];
  const env = { ...process.env };
  // The watchdog is told of the new process by its number being the main one, not by this variable.
  delete env['WATCHDOG_PID'];
  const shell = spawn('/bin/sh', ['-c', '"$@" &', 'sh', ...program], {
    detached: true,
    env,
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  shell.on('error', () => undefined);
  return shell;
};

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
};

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
  });

/**
 * Hands over to a new process of the same program. Its id when it has taken the place: the caller ends. Null when it
 * could not even start: nothing has changed. Rejects when it failed half-way: the caller ends with an error, and the
 * next start adopts the tunnels.
 */
export const handOverTo = async ({
  letGo,
  log,
  notifier,
  clock,
}: HandOverOptions): Promise<number | null> => {
  // `hrtime` is CLOCK_MONOTONIC, the clock that systemd compares it with.
  const monotonicUs = process.hrtime.bigint() / 1000n;
  notifier.send({ RELOADING: 1, MONOTONIC_USEC: `${monotonicUs}`, STATUS: 'handing over' });
  const next = startSuccessor();
  const say = (word: Word): void => void next.send(word, () => undefined);
  const pid = await nextWord(next, clock, STEP_DEADLINE_MS);
  if (typeof pid !== 'number') {
    // One that is only slow ends when it finds the channel closed.
    if (next.connected) next.disconnect();
    log.error({}, 'the new supervisor did not start: going on with this one');
    notifier.send({ READY: 1, STATUS: 'reload failed, going on' });
    return null;
  }
  await ended(next);
  await letGo();
  say('take');
  if ((await nextWord(next, clock, STEP_DEADLINE_MS)) !== 'ready') {
    // Without its channel it gives up by itself, unless it hangs.
    kill(pid);
    throw new Error('the new supervisor did not take up');
  }
  // From a process that is still the main one, and read before it ends: otherwise the manager sees the service die.
  notifier.send({ MAINPID: pid });
  await notifier.taken(TAKEN_DEADLINE_MS);
  say('main');
  // It disconnects once it has said so itself.
  await nextWord(next, clock, TAKEN_DEADLINE_MS);
  log.info({ pid }, 'handed over');
  return pid;
};

/** The successor's side of a hand-over. */
export interface TakeOver {
  /** Waits until the place is free; false when the one before ended first, and with it the reason to start. */
  place(): Promise<boolean>;
  /** Tells that this process serves, and waits for its turn to say so to the manager; false as above. */
  serve(): Promise<boolean>;
  /** Lets the one before end. */
  finish(): void;
}

export const takeOver = (clock: Clock): TakeOver => {
  const say = (word: Word): boolean => process.send?.(word) ?? false;
  return {
    place: async () => {
      say(process.pid);
      return (await nextWord(process, clock)) === 'take';
    },
    serve: async () => {
      say('ready');
      return (await nextWord(process, clock)) === 'main';
    },
    finish: () => {
      if (process.connected === true) process.disconnect?.();
    },
  };
};

/** Programs that containers start first; they end with their child, and the container with them. */
const INITS = ['tini', 'docker-init', 'dumb-init', 'catatonit'];

/** True where this process must keep its number: as the first one of a container, or right under its init. */
export const isContainerMain = async (pid = process.pid, ppid = process.ppid): Promise<boolean> => {
  if (pid === 1) return true;
  if (ppid !== 1) return false;
  const name = await readFile('/proc/1/comm', 'utf8').catch(() => '');
  return INITS.includes(name.trim());
};

/** The hand-over of such a process: the program begins anew in its own place. Never returns. */
export const beginAnew = async (letGo: () => Promise<void>): Promise<never> => {
  await letGo();
  const args = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  if (process.execve === undefined) throw new Error('this Node cannot replace its program');
  process.execve(process.execPath, args, process.env as Record<string, string>);
  throw new Error('the program was not replaced');
};
