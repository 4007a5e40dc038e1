/**
 * What each operation does: change desired state, then watch observed state until it is there. No operation touches a
 * tunnel.
 */
import type { Clock } from '../core/clock.ts';
import { type Fault, fault, type Result } from '../core/errors.ts';
import type { Override } from '../core/override.ts';
import type { Command, RekeyArgs, StartArgs } from '../protocol/command-schema.ts';
import type { SealedToken } from '../protocol/seal.ts';
import { tokenFingerprint } from '../protocol/token-fingerprint.ts';
import type { Intent } from './intent.ts';
import type { TokenVault } from './ports.ts';
import { endedWith, type Outcome, succeeded } from './result-book.ts';
import type { EndpointSnapshot, Snapshot } from './snapshot.ts';
import type { SwapEnd, Swaps } from './swaps.ts';
import type { Waiter } from './waiter.ts';

export const START_DEADLINE_MS = 30_000;
/** Restarts asked for so soon after each other are one. */
const COALESCE_RESTART_MS = 10_000;

export interface CommandOptions {
  readonly clock: Clock;
  readonly intent: Intent;
  readonly vault: TokenVault;
  readonly waiter: Waiter;
  readonly swaps: Swaps;
  readonly defaultLeaseS: number;
  readonly drainMs: number;
  snapshot(): Snapshot;
  wake(): void;
  /** Every wait of the session is over: it is tried again at once. */
  retryNow(): void;
  /** These endpoints are asked for anew: earlier refusals do not make them wait. */
  askedAgain(endpoints: readonly string[]): void;
  /** Their idle time begins anew. */
  idleAnew(endpoints: readonly string[]): void;
  unseal(sealed: string, gen: number): Promise<Result<SealedToken>>;
  /** Facts for `ping`. */
  pong(iat: number): Readonly<Record<string, unknown>>;
  /** Publishes hello, reported and health. */
  report(): Promise<void>;
  resync(): Promise<void>;
  replaceKeys(set: string): Promise<Result<{ readonly version: number }>>;
  /** Ends a command that has not begun; false when there is none such. */
  cancel(id: string): boolean;
}

export interface Commands {
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

const isOpen = (e: EndpointSnapshot): boolean => e.state === 'up';
const isClosed = (e: EndpointSnapshot): boolean => e.state === 'down' || e.state === 'denied';

export const createCommands = (options: CommandOptions): Commands => {
  const { clock, intent, vault, waiter, swaps } = options;
  let lastRestartAt = Number.NEGATIVE_INFINITY;

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

  /** Names the end of a wait that was not met. */
  const unmet = (
    end: { readonly end: 'deadline' } | { readonly end: 'aborted'; readonly why: string },
    what: Fault,
  ): Outcome => {
    if (end.end === 'deadline') return endedWith('failed', what);
    return end.why === 'cancelled'
      ? endedWith('cancelled', fault('CANCELLED', 'Cancelled by a later command.', false))
      : endedWith('superseded', fault('SUPERSEDED', 'A newer command or document took its place.', false));
  };

  const start = async (args: StartArgs, signal: AbortSignal): Promise<Outcome> => {
    const names = targets(args.ep);
    const before = names.map(endpoint);
    const now = clock.now();
    const overrides = names.map((name): Override => {
      const isDeclaredOn = intent.declared().get(name)?.on === true;
      const leaseS = args.lease_s ?? (isDeclaredOn ? null : options.defaultLeaseS);
      return {
        endpoint: name,
        want: 'up',
        endsAt: leaseS === null || leaseS === 0 ? null : now + leaseS * 1000,
        cause: 'command',
      };
    });
    const isNoop =
      args.lease_s === undefined &&
      before.every((e) => e !== undefined && isOpen(e) && e.leaseEndsAt === null) &&
      overrides.every((o) => o.endsAt === null);
    if (isNoop) return succeeded({ noop: true });
    options.askedAgain(names);
    options.idleAnew(names);
    const unsaved = saveFailed(await lay(overrides));
    if (unsaved !== null) {
      // A lease that the next restart would forget could leave the endpoint open or shut against the result.
      await intent.clearOverride(names);
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
    const leftMs = first.leaseEndsAt === null ? null : first.leaseEndsAt - clock.now();
    return {
      url: first.url,
      ...(leftMs === null ? {} : { lease_end: Math.round((clock.wall() + leftMs) / 1000) }),
    };
  };

  const stop = async (args: StartArgs, signal: AbortSignal): Promise<Outcome> => {
    const names = targets(args.ep);
    const wasClosed = names.every((name) => {
      const e = endpoint(name);
      return e === undefined || isClosed(e);
    });
    const endsAt = args.lease_s === undefined ? null : clock.now() + args.lease_s * 1000;
    const saved = await lay(
      names.map((name): Override => ({ endpoint: name, want: 'down', endsAt, cause: 'command' })),
    );
    if (wasClosed) return saved.ok ? succeeded({ noop: true }) : endedWith('failed', saved.fault);
    const end = await waiter.until(
      () =>
        names.every((name) => {
          const e = endpoint(name);
          return e === undefined || isClosed(e);
        })
          ? true
          : undefined,
      START_DEADLINE_MS + options.drainMs,
      signal,
    );
    if (end.end === 'met') return succeeded();
    return unmet(
      end,
      fault('DEADLINE', 'The endpoint did not close in time; its process is being replaced.', true),
    );
  };

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

  const heldGeneration = (): { readonly generation: number; readonly fingerprint: string } => {
    const state = vault.get();
    return state[state.current] ?? { generation: 0, fingerprint: '' };
  };

  const rekeyOutcome = (end: SwapEnd, gen: number): Outcome => {
    const { figures } = end;
    const out = {
      gen: end.fault === null ? gen : heldGeneration().generation,
      served: figures.served,
      dropped: figures.dropped,
      drain_ms: figures.drainMs,
      cut: figures.cut.reduce((sum, c) => sum + c.count, 0),
      gap_ms: figures.gapMs,
      ...(figures.cut.length === 0
        ? {}
        : { streams: figures.cut.map((c) => `${c.endpoint}:${c.kind}:${c.count}`).join(' ') }),
    };
    return end.fault === null ? succeeded(out) : endedWith('failed', end.fault, out);
  };

  const rekey = async (id: string, args: RekeyArgs, signal: AbortSignal): Promise<Outcome> => {
    const opened = await options.unseal(args.sealed, args.gen);
    if (!opened.ok) return endedWith('failed', opened.fault, { gen: heldGeneration().generation });
    const turn = await swaps.turn(signal);
    if (turn === null) return endedWith('cancelled', fault('CANCELLED', 'Cancelled before it began.', false));
    try {
      const held = heldGeneration();
      const isSame = held.fingerprint === tokenFingerprint(opened.value.tok);
      if (args.gen === held.generation && isSame) return succeeded({ gen: held.generation, noop: true });
      if (args.gen <= held.generation) return endedWith('rejected', staleFault(args.gen, held.generation));
      if (isSame && vault.get()[vault.get().current]?.state === 'proved') {
        const saved = await vault.renumber(args.gen);
        return saved.ok ? succeeded({ gen: args.gen, noop: true }) : endedWith('failed', saved.fault);
      }
      if (intent.isParked()) await intent.park(false);
      const candidate = {
        generation: args.gen,
        authtoken: opened.value.tok,
        credentialId: opened.value.cid,
        source: 'rekey' as const,
      };
      const end = await swaps.swap(candidate, id, args.mode === 'break-first');
      return end.ok
        ? rekeyOutcome(end.value, args.gen)
        : endedWith('failed', end.fault, { gen: held.generation });
    } finally {
      turn();
    }
  };

  const staleFault = (gen: number, held: number): Fault =>
    fault('GEN_STALE', `Generation ${gen} is not newer than ${held}, which this device holds.`, false);

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
        const denied = endpoint(ep);
        if (denied?.state === 'denied' && denied.lastError !== null) return denied.lastError;
      }
    }
    if (command.op === 'rekey') {
      const held = heldGeneration().generation;
      if (command.args.gen < held) return staleFault(command.args.gen, held);
    }
    return null;
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
        return rekey(command.id, command.args, signal);
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
    }
  };

  return { precheck, run };
};
