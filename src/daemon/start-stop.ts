/** `start` and `stop`: an override over what is declared, then a wait until the endpoints are there. */
import type { Clock } from '../core/clock.ts';
import { fault, type Result } from '../core/errors.ts';
import type { Override } from '../core/override.ts';
import type { StartArgs } from '../protocol/command-schema.ts';
import type { Intent } from './intent.ts';
import { endedWith, type Outcome, succeeded } from './result-book.ts';
import { type EndpointSnapshot, isClosed, isOpen, type Snapshot } from './snapshot.ts';
import { unmet } from './unmet.ts';
import type { Waiter } from './waiter.ts';

export const START_DEADLINE_MS = 30_000;

export interface StartStopOptions {
  readonly clock: Clock;
  readonly intent: Intent;
  readonly waiter: Waiter;
  readonly defaultLeaseS: number;
  readonly drainMs: number;
  /** Monotonic milliseconds to epoch seconds, as in every report. */
  wallS(at: number): number;
  snapshot(): Snapshot;
  wake(): void;
  /** These endpoints are asked for anew: earlier refusals do not make them wait. */
  askedAgain(endpoints: readonly string[]): void;
  /** Their idle time begins anew. */
  idleAnew(endpoints: readonly string[]): void;
}

export interface StartStop {
  start(args: StartArgs, signal: AbortSignal): Promise<Outcome>;
  stop(args: StartArgs, signal: AbortSignal): Promise<Outcome>;
  /**
   * Lays once more what a command asked for `agedS` seconds ago: the daemon ended after it was accepted, perhaps before
   * that was on disk. A lease ends when it would have ended.
   */
  layAgain(op: 'start' | 'stop', args: StartArgs, agedS: number): Promise<void>;
}

export const createStartStop = (options: StartStopOptions): StartStop => {
  const { clock, intent, waiter } = options;

  const endpoint = (name: string): EndpointSnapshot | undefined =>
    options.snapshot().endpoints.find((e) => e.name === name);

  const targets = (ep: string): readonly string[] => (ep === '*' ? [...intent.declared().keys()] : [ep]);

  const saveFailed = (saved: Result<void>): Outcome | null =>
    saved.ok ? null : endedWith('failed', saved.fault);

  /** Lays the overrides; a fault of the disk does not stop what is safe to do from memory. */
  const lay = async (changes: readonly Override[]): Promise<Result<void>> => {
    if (intent.isParked()) await intent.park(false);
    const saved = await intent.override(changes);
    options.wake();
    return saved;
  };

  const upFor = (name: string, askedS: number | undefined, agedS = 0): Override => {
    const isDeclaredOn = intent.declared().get(name)?.on === true;
    const leaseS = askedS ?? (isDeclaredOn ? 0 : options.defaultLeaseS);
    const endsAt = leaseS === 0 ? null : clock.now() + (leaseS - agedS) * 1000;
    return { endpoint: name, want: 'up', endsAt, cause: 'command' };
  };

  const downFor = (name: string, askedS: number | undefined, agedS = 0): Override => ({
    endpoint: name,
    want: 'down',
    endsAt: askedS === undefined ? null : clock.now() + (askedS - agedS) * 1000,
    cause: 'command',
  });

  const start = async (args: StartArgs, signal: AbortSignal): Promise<Outcome> => {
    const names = targets(args.ep);
    const before = names.map(endpoint);
    const overrides = names.map((name) => upFor(name, args.lease_s));
    const isNoop =
      args.lease_s === undefined &&
      before.every((e) => e !== undefined && isOpen(e) && e.leaseEndsAt === null) &&
      overrides.every((o) => o.endsAt === null);
    if (isNoop) return succeeded({ noop: true });
    options.askedAgain(names);
    options.idleAnew(names);
    const earlier = intent.overrides();
    const unsaved = saveFailed(await lay(overrides));
    if (unsaved !== null) {
      // A lease that the next restart would forget could leave the endpoint open or shut against the result: what was
      // asked for before is in force again.
      const kept = earlier.filter((o) => names.includes(o.endpoint));
      await intent.override(kept);
      await intent.clearOverride(names.filter((name) => kept.every((o) => o.endpoint !== name)));
      options.wake();
      return unsaved;
    }
    const end = await waiter.until(
      () => {
        const all = names.flatMap((name) => endpoint(name) ?? []);
        const refused = all.find(
          (e) => (e.state === 'failed' || e.state === 'denied') && e.lastError !== null,
        );
        if (refused?.lastError != null) return endedWith('failed', refused.lastError, { ep: refused.name });
        return all.every(isOpen) ? succeeded(openOut(all)) : undefined;
      },
      START_DEADLINE_MS,
      signal,
    );
    if (end.end === 'met') return end.value;
    const why = options.snapshot().session.lastError;
    return unmet(
      end,
      why ?? fault('DEADLINE', 'The endpoint did not open within 30 s; it is still being tried.', true),
    );
  };

  const openOut = (all: readonly EndpointSnapshot[]): Readonly<Record<string, unknown>> => {
    const [first] = all;
    if (first === undefined || all.length > 1) return { open: all.map((e) => e.name).join(' ') };
    return {
      url: first.url,
      ...(first.leaseEndsAt === null ? {} : { lease_end: options.wallS(first.leaseEndsAt) }),
    };
  };

  const stop = async (args: StartArgs, signal: AbortSignal): Promise<Outcome> => {
    const names = targets(args.ep);
    const areClosed = (): boolean =>
      names.every((name) => {
        const e = endpoint(name);
        return e === undefined || isClosed(e);
      });
    const wasClosed = areClosed();
    const saved = await lay(names.map((name) => downFor(name, args.lease_s)));
    if (wasClosed) return saved.ok ? succeeded({ noop: true }) : endedWith('failed', saved.fault);
    const end = await waiter.until(
      () => (areClosed() ? true : undefined),
      START_DEADLINE_MS + options.drainMs,
      signal,
    );
    if (end.end === 'met') return succeeded();
    return unmet(
      end,
      fault('DEADLINE', 'The endpoint did not close in time; its process is being replaced.', true),
    );
  };

  return {
    start,
    stop,
    layAgain: async (op, args, agedS) => {
      const override = op === 'start' ? upFor : downFor;
      await lay(targets(args.ep).map((name) => override(name, args.lease_s, agedS)));
    },
  };
};
