/**
 * Everything that comes from the cloud passes here: judged, journalled, answered, run. Nothing throws past it, and a
 * message is acknowledged to the broker only when what it asks for is durable.
 */
import { type Bucket, type BucketPolicy, fullBucket, retryAfterS, take } from '../core/bucket.ts';
import type { Clock } from '../core/clock.ts';
import { type Fault, fault } from '../core/errors.ts';
import type { Command } from '../protocol/command-schema.ts';
import {
  type AcceptedCommand,
  type CommandContext,
  judgeCommand,
  type RefusedCommand,
  screenCommand,
} from '../protocol/judge-command.ts';
import type { DropCounter } from '../protocol/judge-context.ts';
import type { Commands } from './commands.ts';
import type { Log } from './log.ts';
import type { InboundMessage } from './ports.ts';
import { endedWith, type ResultBook } from './result-book.ts';

/** Signatures are checked at most so often, whoever sends: the rest is dropped unread. */
const SIGNATURES: BucketPolicy = { burst: 50, perSecond: 50 };
/** Beside them for `stop`, so that a flood of other commands does not hide one. */
const STOP_SIGNATURES: BucketPolicy = { burst: 10, perSecond: 10 };
/** Commands of one issuer. */
const COMMANDS: BucketPolicy = { burst: 10, perSecond: 1 };
/** `stop` has some of its own, so that a flood cannot keep an endpoint open. */
const STOPS: BucketPolicy = { burst: 4, perSecond: 1 };
/** What does not run but is answered: refusals, which the journal has to remember, and repeated ids. Of one issuer. */
const ANSWERS: BucketPolicy = { burst: 30, perSecond: 2 };
/** Refusals for rate are answered at most once a second. */
const RATE_ANSWERS: BucketPolicy = { burst: 1, perSecond: 1 };
const MAX_RUNNING = 32;

export interface IntakeOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly book: ResultBook;
  readonly commands: Commands;
  context(): CommandContext;
  /** Keeps the window of a command that was accepted; durable with the journal entry. */
  saveWindow(accepted: AcceptedCommand): Promise<void>;
  count(counter: DropCounter): void;
  /** Milliseconds a group command waits before it acts, so that a fleet does not move as one. */
  spreadMs(command: Command): number;
}

export interface Intake {
  command(message: InboundMessage): Promise<void>;
  /** Aborts what runs for an endpoint or all (`null`), as a newer document took its place. */
  supersede(): void;
  cancel(id: string): boolean;
  /** Commands under way. */
  running(): number;
}

interface Running {
  readonly command: Command;
  readonly abort: AbortController;
}

/** What a command acts on: a newer one on the same target takes its place. */
const targetOf = (command: Command): string | null => {
  if (command.op === 'start' || command.op === 'stop') return `ep ${command.args.ep}`;
  return null;
};

export const createIntake = (options: IntakeOptions): Intake => {
  const { clock, log, book, commands } = options;
  const buckets = new Map<string, Bucket>();
  const running = new Map<string, Running>();
  /** Highest sequence number that ran on a target, by issuer. */
  const newest = new Map<string, number>();

  const passes = (
    name: string,
    policy: BucketPolicy,
  ): { readonly isAllowed: boolean; readonly retryS: number } => {
    const now = clock.now();
    const after = take(buckets.get(name) ?? fullBucket(policy, now), policy, now);
    buckets.set(name, after.bucket);
    return { isAllowed: after.isAllowed, retryS: retryAfterS(after.bucket, policy) };
  };

  /** Whom a refusal goes to. */
  type Asked = Pick<RefusedCommand, 'id' | 'op' | 'issuer' | 'expS'>;

  const askedBy = ({ command, issuer }: AcceptedCommand): Asked => ({
    id: command.id,
    op: command.op,
    issuer,
    expS: command.exp,
  });

  const reject = (asked: Asked, f: Fault, retryS?: number): Promise<void> =>
    book.refuse({
      ...asked,
      verdict: 'refused',
      status: 'rejected',
      code: f.code,
      msg: f.message,
      ...(retryS === undefined ? {} : { retryS }),
    });

  const limited = async (asked: Asked, retryS: number): Promise<void> => {
    options.count('rate');
    if (passes('rate answers', RATE_ANSWERS).isAllowed)
      await reject(asked, fault('RATE_LIMITED', 'Too many commands; send it again later.', true), retryS);
  };

  const overRate = async (accepted: AcceptedCommand): Promise<boolean> => {
    const { command, issuer } = accepted;
    const own = passes(`cmd ${issuer}`, COMMANDS);
    if (own.isAllowed) return false;
    if (command.op === 'stop' && passes(`stop ${issuer}`, STOPS).isAllowed) return false;
    await limited(askedBy(accepted), own.retryS);
    return true;
  };

  /** An older command that comes late does not undo a newer one on the same target. */
  const isOvertaken = ({ command, issuer }: AcceptedCommand): boolean => {
    const target = targetOf(command);
    if (target === null) return false;
    const key = `${issuer} ${command.to} ${target}`;
    const last = newest.get(key) ?? -1;
    if (command.seq < last) return true;
    newest.set(key, command.seq);
    return false;
  };

  const supersedeTarget = (command: Command): void => {
    const target = targetOf(command);
    if (target === null) return;
    for (const { command: other, abort } of running.values()) {
      const otherTarget = targetOf(other);
      const isSame =
        otherTarget !== null && (otherTarget === target || target === 'ep *' || otherTarget === 'ep *');
      if (isSame && other.op !== command.op) abort.abort('superseded');
    }
  };

  const runNow = async (command: Command, abort: AbortController): Promise<void> => {
    const spreadMs = command.to.startsWith('g:') && command.op !== 'stop' ? options.spreadMs(command) : 0;
    if (spreadMs > 0) await new Promise<void>((resolve) => clock.after(spreadMs, resolve));
    await book.executing(command.id);
    try {
      await book.end(command.id, await commands.run(command, abort.signal));
    } catch (error) {
      log.error({ err: error, commandId: command.id, op: command.op }, 'command failed unexpectedly');
      await book.end(
        command.id,
        endedWith(
          'failed',
          fault('INTERNAL', 'The command met a fault of the daemon itself; the local log has it.', false),
        ),
      );
    }
  };

  const run = (command: Command): void => {
    supersedeTarget(command);
    const abort = new AbortController();
    running.set(command.id, { command, abort });
    void runNow(command, abort).finally(() => running.delete(command.id));
  };

  /** What a restart needs to go on with the command, or to judge it by. */
  const memoOf = (command: Command): Readonly<Record<string, unknown>> | undefined => {
    if (command.op === 'start' || command.op === 'stop') return { ...command.args };
    return command.op === 'rekey' ? { gen: command.args.gen } : undefined;
  };

  const admit = async (accepted: AcceptedCommand): Promise<void> => {
    const { command } = accepted;
    if (await overRate(accepted)) return;
    const isSafeAnyway = command.op === 'ping' || command.op === 'report' || command.op === 'stop';
    const refusal = commands.precheck(command);
    if (refusal !== null) return reject(askedBy(accepted), refusal);
    if (running.size >= MAX_RUNNING)
      return reject(askedBy(accepted), fault('QUEUE_FULL', 'Too many commands are under way.', true), 30);
    // The id first: a window that was on disk before it would turn the redelivered command away as a replay.
    const saved = await book.accept(accepted, memoOf(command));
    await options.saveWindow(accepted);
    if (isOvertaken(accepted)) {
      await book.end(
        command.id,
        endedWith('superseded', fault('SUPERSEDED', 'A newer command on the same target ran before.', false)),
      );
      return;
    }
    // A full or read-only disk: what is safe to run twice still runs, the rest is refused.
    if (!saved.ok && !(isSafeAnyway && saved.fault.code === 'STORE_FAILED')) {
      await book.end(command.id, endedWith('failed', saved.fault));
      if (saved.fault.code === 'QUEUE_FULL') await reject(askedBy(accepted), saved.fault, 60);
      return;
    }
    run(command);
  };

  const command = async (message: InboundMessage): Promise<void> => {
    try {
      const context = options.context();
      const screened = screenCommand(message, context);
      if (screened.verdict === 'dropped') return options.count(screened.counter);
      const isRead =
        passes('signatures', SIGNATURES).isAllowed ||
        (screened.op === 'stop' && passes('stop signatures', STOP_SIGNATURES).isAllowed);
      if (!isRead) return options.count('rate');
      const verdict = await judgeCommand(message, context);
      switch (verdict.verdict) {
        case 'dropped':
          log.debug({ counter: verdict.counter, reason: verdict.reason }, 'command dropped');
          return options.count(verdict.counter);
        case 'replay':
          // Its answer went out before: beyond the rate it is not said again, and nothing else can be said of it.
          if (!passes(`answers ${verdict.issuer}`, ANSWERS).isAllowed) return options.count('rate');
          return book.repeat(verdict.answer.id);
        case 'refused': {
          const answers = passes(`answers ${verdict.issuer}`, ANSWERS);
          if (!answers.isAllowed) return await limited(verdict, answers.retryS);
          if (verdict.counter !== undefined) options.count(verdict.counter);
          log.info({ commandId: verdict.id, op: verdict.op, code: verdict.code }, 'command refused');
          return await book.refuse(verdict);
        }
        case 'accepted':
          log.info(
            { commandId: verdict.command.id, op: verdict.command.op, issuer: verdict.issuer },
            'command accepted',
          );
          return await admit(verdict);
      }
    } catch (error) {
      log.error({ err: error }, 'intake failed');
      options.count('bad_json');
    }
  };

  return {
    command,
    supersede: () => {
      for (const { command: other, abort } of running.values())
        if (targetOf(other) !== null) abort.abort('superseded');
    },
    cancel: (id) => {
      const found = running.get(id);
      if (found === undefined || found.command.op === 'cancel') return false;
      found.abort.abort('cancelled');
      return true;
    },
    running: () => running.size,
  };
};
