/**
 * What the device is to do, from everything that has a say: configuration file, desired document, commands, lock,
 * ngrok's remote stop. Holds it, keeps it on disk, and folds it into the `Desired` that the plan compares with.
 */
import type { Clock } from '../core/clock.ts';
import type { BindSpec, EndpointSpec } from '../core/endpoint.ts';
import { type Fault, ok, type Result } from '../core/errors.ts';
import {
  afterNewRevision,
  liveOverrides,
  type Override,
  restoreOverrides,
  saveOverrides,
  withOverride,
  withoutOverride,
} from '../core/override.ts';
import type { Desired, WantedBind } from '../core/plan.ts';
import type { Slot } from '../core/tunnel-event.ts';
import type { ViewInputs } from '../core/view.ts';
import { declared, nextChange, type Wanted, wantedAt } from '../core/wanted.ts';
import type { WindowState } from '../core/window.ts';
import type { Keeper } from './keeper.ts';
import type { Store, TokenVault, VaultState } from './ports.ts';
import type { DesiredRecord, RuntimeRecord } from './records.ts';

/** Weekly windows are looked at again after so long, whatever the clock said. */
const WINDOW_LOOK_MS = 60_000;

const earlier = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.min(a, b);

export interface IntentOptions {
  readonly clock: Clock;
  /** How long a staged token may take to prove itself. */
  readonly swapDeadlineMs: number;
  readonly fileEndpoints: readonly EndpointSpec[];
  /** Turns the document's endpoints into specs; one that cannot be is denied by name. */
  documentEndpoints(record: DesiredRecord): {
    readonly specs: readonly EndpointSpec[];
    readonly denied: ReadonlyMap<string, Fault>;
  };
  /** Resolves upstream and policy against the local configuration. */
  resolve(spec: EndpointSpec): Result<Omit<BindSpec, 'closesAtMs'>>;
  /** Whether one of the endpoint's weekly windows is open; undefined for one without windows. */
  windowState(spec: EndpointSpec): WindowState | undefined;
  readonly runtime: Keeper<RuntimeRecord>;
  readonly document: Store<DesiredRecord | null>;
  readonly vault: TokenVault;
}

/** One moment's reading of the intent: computed once a round. */
export interface Reading {
  readonly desired: Desired;
  readonly wanted: ReadonlyMap<string, Wanted>;
  readonly denied: ReadonlyMap<string, Fault>;
  readonly inputs: ViewInputs;
  /** Monotonic milliseconds at which the reading changes by itself; null when never. */
  readonly changesAt: number | null;
}

export interface Intent {
  read(): Reading;
  declared(): ReadonlyMap<string, EndpointSpec>;
  overrides(): readonly Override[];
  /** Lays overrides over what is declared; memory counts at once, the promise tells whether the disk has it. */
  override(changes: readonly Override[]): Promise<Result<void>>;
  clearOverride(endpoints: readonly string[]): Promise<Result<void>>;
  /** Takes a document that was judged good. On a fault nothing changed. */
  accept(record: DesiredRecord): Promise<Result<void>>;
  document(): DesiredRecord | null;
  setLocked(locked: boolean): void;
  isLocked(): boolean;
  park(parked: boolean): Promise<Result<void>>;
  isParked(): boolean;
  /** The next session is to be a new one, on the same token. */
  newEpoch(): number;
  /** The account has no room for two sessions: this swap ends the old one first. */
  breakFirst(): void;
  /** A swap begins now: its deadline counts from here. */
  swapBegins(breakFirst: boolean): void;
  setStopping(): void;
  /** Saves leases with the time they have left and the document with its age, so that a restart lengthens nothing. */
  keepLeases(): Promise<Result<void>>;
}

/** Everything that needs a new bind when it changes. */
export const bindKey = (spec: Omit<BindSpec, 'closesAtMs'>): string => {
  const { name, proto, url, binding, metadata, pooling, metering, policy, upstream } = spec;
  return JSON.stringify([name, proto, url, binding, metadata, pooling, metering, policy, upstream]);
};

/** A slot beside the one in use is worth a try unless its token was refused before. */
const isUsable = (state: VaultState, slot: Slot): boolean =>
  state[slot] !== null &&
  (slot === state.current || slot === state.swap?.to || state[slot]?.state !== 'refused');

export const createIntent = (options: IntentOptions): Intent => {
  const { clock, runtime, document, vault } = options;
  let overrides = restoreOverrides(runtime.get().overrides, clock.now(), clock.wall());
  let isLocked = false;
  let isStopping = false;
  let epoch = 0;
  let swapDeadlineAt = clock.now() + options.swapDeadlineMs;
  let isBreakFirst = false;
  let fromDocument: ReturnType<IntentOptions['documentEndpoints']> = { specs: [], denied: new Map() };
  let documentAcceptedAt = 0;
  /** The document that endpoints follow: the stored one is ahead of it while a new one is being accepted. */
  let inForce: DesiredRecord | null = null;

  const applyDocument = (): void => {
    const record = document.get();
    inForce = record;
    fromDocument = record === null ? { specs: [], denied: new Map() } : options.documentEndpoints(record);
    const kept = runtime.get().documentAge;
    const keptMs = kept !== undefined && kept.digest === record?.digest ? kept.ms : 0;
    // As for leases: a clock that is behind at every start must not lengthen a time-to-live without end.
    const ageMs = record === null ? 0 : Math.max(keptMs, clock.wall() - record.acceptedAtMs);
    documentAcceptedAt = clock.now() - ageMs;
  };
  applyDocument();

  const setOverrides = (next: readonly Override[]): Promise<Result<void>> => {
    overrides = next;
    return runtime.update({ overrides: saveOverrides(next, clock.now(), clock.wall()) });
  };

  const windowsOf = (
    specs: Iterable<EndpointSpec>,
  ): { readonly open: Readonly<Record<string, boolean>>; readonly changesAt: number | null } => {
    const states = [...specs].flatMap((spec) => {
      const state = options.windowState(spec);
      return state === undefined ? [] : [{ name: spec.name, state }];
    });
    const waitsMs = states.flatMap(({ state: { changesAtMs } }) =>
      changesAtMs === null ? [] : [changesAtMs - clock.wall()],
    );
    return {
      open: Object.fromEntries(states.map(({ name, state }) => [name, state.open])),
      // The wall clock may be set meanwhile, so it is never slept through for long.
      changesAt: waitsMs.length === 0 ? null : clock.now() + Math.min(WINDOW_LOOK_MS, ...waitsMs),
    };
  };

  const closesAtMs = (wanted: Wanted): number | null =>
    wanted.until === null ? null : Math.round(clock.wall() + (wanted.until - clock.now()));

  const read = (): Reading => {
    const now = clock.now();
    const live = liveOverrides(overrides, now);
    if (live !== overrides) void setOverrides(live);
    const all = declared(options.fileEndpoints, fromDocument.specs);
    const windows = windowsOf(all.values());
    const wanted = wantedAt(
      {
        file: options.fileEndpoints,
        document: fromDocument.specs,
        overrides,
        documentAcceptedAt,
        windowOpen: windows.open,
      },
      now,
    );
    const denied = new Map(fromDocument.denied);
    const endpoints = new Map<string, WantedBind>();
    const keys = new Map<string, string>();
    for (const [name, entry] of wanted) {
      if (!entry.up) continue;
      const resolved = options.resolve(entry.spec);
      if (!resolved.ok) {
        denied.set(name, resolved.fault);
        continue;
      }
      const key = bindKey(resolved.value);
      keys.set(name, key);
      endpoints.set(name, { spec: { ...resolved.value, closesAtMs: closesAtMs(entry) }, key });
    }
    const state = vault.get();
    const isRevoked = inForce?.document.cred?.revoked === true;
    const hasToken = (state.a !== null || state.b !== null) && !isRevoked;
    const sessionWanted = !isLocked && !isStopping && !runtime.get().parked && hasToken;
    return {
      desired: {
        session: sessionWanted,
        endpoints,
        current: state.current,
        usable: { a: isUsable(state, 'a'), b: isUsable(state, 'b') },
        swap:
          state.swap === null
            ? null
            : {
                to: state.swap.to,
                phase: state.swap.phase,
                breakFirst: isBreakFirst,
                deadlineAt: swapDeadlineAt,
              },
        epoch,
      },
      wanted,
      denied,
      inputs: {
        wanted,
        denied,
        keys,
        sessionWanted: !isLocked && !isStopping && !runtime.get().parked,
        current: state.current,
        currentGeneration: state[state.current]?.generation ?? 0,
        hasToken,
      },
      changesAt: earlier(nextChange(wanted), windows.changesAt),
    };
  };

  return {
    read,
    declared: () => declared(options.fileEndpoints, fromDocument.specs),
    overrides: () => overrides,
    override: (changes) => setOverrides(changes.reduce(withOverride, overrides)),
    clearOverride: (names) => setOverrides(names.reduce(withoutOverride, overrides)),
    accept: async (record) => {
      const saved = await document.save(record);
      if (!saved.ok) return saved;
      applyDocument();
      await setOverrides(afterNewRevision(overrides));
      return saved;
    },
    document: () => inForce,
    setLocked: (locked) => {
      isLocked = locked;
    },
    isLocked: () => isLocked,
    park: (parked) => runtime.update({ parked }),
    isParked: () => runtime.get().parked,
    newEpoch: () => ++epoch,
    breakFirst: () => {
      isBreakFirst = true;
    },
    swapBegins: (breakFirst) => {
      isBreakFirst = breakFirst;
      swapDeadlineAt = clock.now() + options.swapDeadlineMs;
    },
    setStopping: () => {
      isStopping = true;
    },
    keepLeases: () => {
      const documentAge =
        inForce !== null && fromDocument.specs.some(({ ttlS }) => ttlS > 0)
          ? { documentAge: { digest: inForce.digest, ms: Math.round(clock.now() - documentAcceptedAt) } }
          : null;
      if (documentAge === null && overrides.every((o) => o.endsAt === null))
        return Promise.resolve(ok(undefined));
      return runtime.update({
        overrides: saveOverrides(overrides, clock.now(), clock.wall()),
        ...documentAge,
      });
    },
  };
};
